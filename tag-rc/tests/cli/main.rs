//! The real binary on real repositories and real remotes.

mod advice;
mod basics;
mod copies;
mod ends;
mod hotfixes;
mod old_finals;
mod places;
mod promotion;
mod pushes;
mod questions;
mod races;
mod remotes;
mod repositories;
mod signing;
mod team;
mod trees;
