//! The real binary on real repositories and real remotes.

mod basics;
mod hotfixes;
mod places;
mod promotion;
mod questions;
mod races;
mod remotes;
mod repositories;
mod signing;
mod team;
mod trees;
