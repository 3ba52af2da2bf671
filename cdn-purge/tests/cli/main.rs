//! The real binary against real caches and against stand-ins of vendors: one program, because each one is linked.

mod connections;
mod edge;
mod fleet;
mod fleets;
mod nodes;
mod own_caches;
mod site;
mod souin;
mod variants;
mod vendors;
