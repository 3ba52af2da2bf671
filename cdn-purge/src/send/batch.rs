//! Cuts a stream of selectors into requests that no vendor refuses for their size. Pure, and never more than one batch in memory.

use step::Failure;

/// What one request may hold.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Selectors.
    pub items: usize,
    /// Bytes of all selectors together, as `weigh` weighs them.
    pub bytes: usize,
    /// What a selector takes in the request's body or header, with its quotes and separators.
    pub weigh: fn(&str) -> usize,
}

impl Size {
    /// One selector a request.
    pub const ONE: Size = Size { items: 1, bytes: usize::MAX, weigh: str::len };

    /// So many in a JSON array of strings.
    pub const fn json(items: usize) -> Size {
        Size { items, bytes: 1 << 20, weigh: in_json }
    }
}

/// Quotes, the comma, and a backslash before what JSON escapes.
fn in_json(item: &str) -> usize {
    item.len() + 3 + item.bytes().filter(|b| matches!(b, b'"' | b'\\')).count()
}

/// The batches of a stream.
pub struct Batches<I> {
    items: I,
    /// Read already, but not handed out: it no longer fitted, or the stream broke after it.
    held: Vec<String>,
}

impl<I: Iterator<Item = Result<String, Failure>>> Batches<I> {
    pub fn new(items: I) -> Self {
        Batches { items, held: Vec::new() }
    }

    /// The next batch; empty at the end.
    ///
    /// # Errors
    /// Whatever the stream says. What was read before stays for the next call.
    pub fn next(&mut self, size: &Size) -> Result<Vec<String>, Failure> {
        let mut batch = std::mem::take(&mut self.held);
        let mut bytes: usize = batch.iter().map(|item| (size.weigh)(item)).sum();
        while batch.len() < size.items {
            let item = match self.items.next() {
                Some(Ok(item)) => item,
                Some(Err(failure)) => {
                    self.held = batch;
                    return Err(failure);
                }
                None => break,
            };
            bytes += (size.weigh)(&item);
            if bytes > size.bytes && !batch.is_empty() {
                self.held.push(item);
                break;
            }
            batch.push(item);
        }
        Ok(batch)
    }

    /// What was not taken.
    pub fn rest(self) -> impl Iterator<Item = Result<String, Failure>> {
        self.held.into_iter().map(Ok).chain(self.items)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_batch_over_a_limit_no_item_lost_none_twice(
            paths in prop::collection::vec(r#"[a-z/"\\?=%]{0,60}"#, 0..400),
            items in 1usize..60,
            bytes in 80usize..2000,
            stop in 0usize..20,
        ) {
            // Distinct by their number, so that a doubled one would show.
            let all: Vec<String> = paths.iter().enumerate().map(|(n, path)| format!("{n}{path}")).collect();
            let size = Size { bytes, ..Size::json(items) };
            prop_assume!(all.iter().all(|item| in_json(item) <= bytes));
            let mut batches = Batches::new(all.iter().cloned().map(Ok));
            let mut seen = Vec::new();
            for _ in 0..stop {
                let batch = batches.next(&size).expect("no error");
                prop_assert!(batch.len() <= items);
                let body = serde_json::to_string(&batch).expect("JSON");
                prop_assert!(batch.is_empty() || body.len() <= bytes + 1, "{} > {}", body.len(), bytes);
                seen.extend(batch);
            }
            // Stopped in the middle: what was taken and what is left are everything, in order, once.
            seen.extend(batches.rest().map(|item| item.expect("no error")));
            prop_assert_eq!(seen, all);
        }
    }
}
