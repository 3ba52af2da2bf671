//! Fills a copy from a dump. What a dump's makers wrote runs while it is restored (checks, index expressions, materialized views, triggers),
//! so it is restored in sessions that were authenticated as a role without any rights, which owns nothing but the copy: to say RESET leads back
//! to nothing. What needs a superuser and runs none of that code is done by one: extensions, then owners and rights.

pub mod apply;
pub mod dump;
pub mod given;
pub mod parts;
pub mod plain;
pub mod properties;
pub mod readers;
pub mod rights;
pub mod script;
pub mod side;
pub mod tied;
pub mod words;
