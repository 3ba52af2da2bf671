//! The files that right pages name: they must be there too.

use step::{Acted, Failure};
use url::Url;

use crate::page::damage::{self, Chunk};
use crate::page::form::Form;
use crate::proof::board::Board;
use crate::proof::{LOOK, Proof};

/// Files that are asked for, all pages together.
const ASSETS: usize = 200;

impl Proof<'_> {
    /// The files that the pages name must be there: old HTML beside new files opens, and then breaks. Of one that is answered with
    /// a page it is not known whether browsers can run it: then the pages that name it are not known to be right.
    pub fn whole(&self, board: &mut Board) -> Result<(), Failure> {
        if !self.settings.assets {
            return Ok(());
        }
        let mut asked: Vec<Url> = Vec::new();
        for (n, page) in self.pages.iter().enumerate() {
            let node = self.nodes.of_page(page).first().copied().unwrap_or_default();
            let (seen, html) = self.edge.document(&self.look_at(n, &Form::browser(), node, LOOK.1))?;
            let chunks = if seen.status == Some(200) { damage::chunks(&html, page) } else { Vec::new() };
            for asset in chunks {
                if asked.len() >= ASSETS || asked.contains(&asset) {
                    continue;
                }
                let at = self.nodes.all[node].address.filter(|_| asset.origin() == page.origin());
                let chunk = match self.edge.asset(&asset, at)? {
                    Ok((status, kind)) => damage::chunk(status, &kind),
                    Err(why) => Chunk::Missing(format!("does not answer: {why}")),
                };
                match chunk {
                    Chunk::There => {}
                    Chunk::Odd => self.odd(board, n, &asset),
                    Chunk::Missing(why) => return Err(self.missing(board, page, &asset, &why)),
                }
                asked.push(asset);
            }
        }
        Ok(())
    }

    fn odd(&self, board: &mut Board, page: usize, asset: &Url) {
        let said = format!(
            "{} names {asset}, which is answered as a page (text/html): see that it opens",
            self.pages[page]
        );
        self.context.voice.warn(&said);
        board.doubt(page);
    }

    fn missing(&self, board: &Board, page: &Url, asset: &Url, why: &str) -> Failure {
        let message = format!("{page} names {asset}, which {why}: the page opens and then breaks");
        Failure::failed("chunk-missing", message).acted(Acted::Yes).output("urls", self.report(board))
    }
}
