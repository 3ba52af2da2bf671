//! The library: parser, rules and repairs, in tables and by what holds for every text.

mod advice;
mod breaking;
mod headings;
mod oracle;
mod outside;
mod properties;
mod table;
mod words;
