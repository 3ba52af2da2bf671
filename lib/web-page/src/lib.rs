//! Pages, for those who prove builds by them: which servers a name has, what browsers accept and how it is unpacked, what the tags are as
//! the rules of HTML find them, and how a page says which build it is. Shared by deploy-coolify and cdn-purge, who ask with clients of their own.

mod html;
mod marker;
mod places;
mod unpack;

pub use html::{attribute, links, scripts};
pub use marker::Marker;
pub use places::{Places, places};
pub use unpack::{BROWSER, Packed, unpack};
