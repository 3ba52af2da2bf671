//! A cache that is purged by a request a page. The page's host goes along: a purge for another host is answered 200 and does
//! nothing.

use http_client::{Call, Client};
use step::{Failure, Permit};
use url::Url;

use super::{Purge, unanswered};
use crate::args::{self, Settings};
use crate::plan;

pub struct Http<'a> {
    pub settings: &'a args::Http,
    pub client: &'a Client<'a>,
}

impl Purge for Http<'_> {
    fn purge(&self, _permit: &Permit, pages: &[Url]) -> Result<(), Failure> {
        pages.iter().try_for_each(|page| self.one(page))
    }

    fn check(&self, settings: &Settings) -> Result<String, Failure> {
        let page = settings.public_urls.first().map_or("", String::as_str);
        let reply = unanswered(self.client.persist(&Call::new("GET", page), true)?, "the edge")?;
        Ok(format!(
            "{page} answers with HTTP {}; whether it takes {} is not known",
            reply.status, self.settings.method
        ))
    }
}

impl Http<'_> {
    fn one(&self, page: &Url) -> Result<(), Failure> {
        let mut target = self.settings.endpoint.as_ref().map_or_else(|| page.clone(), |e| plan::at(e, page));
        let mut headers = vec![("Host", plan::host(page))];
        if let Some(name) = &self.settings.ban_header {
            headers.push((name, format!("^{}$", plan::escaped(&plan::path(page)))));
            target.set_path("/");
            target.set_query(None);
        }
        headers.extend(self.settings.headers.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let call = Call::new(&self.settings.method, target.as_str());
        let call = headers.into_iter().fold(call, |call, (name, value)| call.header(name, value));
        let reply = unanswered(self.client.persist(&call, true)?, "the edge")?;
        if self.settings.expect.contains(&reply.status) {
            return Ok(());
        }
        let expected = self.settings.expect.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
        let message = format!(
            "{} {target} was answered with HTTP {} instead of {expected}",
            self.settings.method, reply.status
        );
        let failure = if reply.status >= 500 {
            Failure::temporary("purge-refused", message)
        } else {
            Failure::failed("purge-refused", message)
        };
        Err(failure.next(
            "see that the cache allows this from this machine, and that driver, method and endpoint fit it",
        ))
    }
}
