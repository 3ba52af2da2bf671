//! Pages: in which forms and at which addresses they are asked for, what an answer is, and where it came from.

pub mod damage;
pub mod edge;
pub mod form;
pub mod node;
pub mod normal;
pub mod seen;
pub mod verdict;
