//! What an answer's body is, for those who prove builds by it: unpacked as browsers unpack it, and its tags as the rules of HTML find
//! them. Nothing here asks anybody.

mod html;
mod unpack;

pub use html::{Attribute, attribute, links, scripts};
pub use unpack::{BROWSER, Packed, unpack};
