//! What `snapshot` takes, `restore` brings back: odd databases, made of pieces, are taken, rehearsed, restored and undone, and what is there
//! afterwards is compared with what was there before, by means that db-restore does not use.

mod extensions;
mod pieces;
mod same;
mod sweep;
