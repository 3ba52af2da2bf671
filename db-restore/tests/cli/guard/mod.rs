//! What db-restore does to others, and lets others do: production stays open whatever is killed or cut off, and nobody's code runs with more
//! rights than its owner has. `SWEEP=all` takes every place instead of some (`make sweep-db`).

mod distance;
mod hostile;
mod open;
