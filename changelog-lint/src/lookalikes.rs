//! Lines that a reader takes for the heading of a release and that Markdown, or this program, does not: a space is missing, a list
//! has swallowed it, it is bold, a table, a quote. Whoever passes over one takes the notes of another version. What is said in
//! prose about a version is none, nor is a list of versions, nor a part of a section that names its own version again.

mod above;

use std::collections::BTreeSet;

use crate::changelog::{Block, BlockKind, Section, Span};
use crate::claim::{self, Claim, Ways};
use crate::sections::Found;
use crate::source::Read;
use crate::text::lines;
use crate::version::Order;

/// Nobody writes a heading longer than this, bytes.
const LONGEST: usize = 1000;
/// A line of prose that is broken before a version is at least so long, bytes.
const WRAPPED: usize = 50;

/// So many entries of a list are looked at on each side.
const NEIGHBOURS: usize = 3;

/// A line that looks like the heading of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookalike {
    /// The line without blanks around it.
    pub span: Span,
    /// The version that it seems to be about.
    pub version: String,
    /// What Markdown takes it for.
    pub read_as: ReadAs,
}

/// What Markdown takes a line for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAs {
    /// Words.
    Text,
    /// A heading of this level, on which releases do not stand.
    Heading(u8),
    /// An entry of a list.
    Item,
    /// A part of a quote.
    Quote,
    /// A row of a table.
    Row,
    /// HTML.
    Html,
    /// Code, because of its indentation.
    Code,
}

/// Finds them.
pub(crate) fn find(text: &str, read: &Read, found: &Found) -> Vec<Lookalike> {
    let quiet = quiet(text, read, found);
    let all: Vec<(Span, &str)> = lines(text).collect();
    let ways = Ways::of(&found.sections);
    let mut finder = Finder { text, read, found, lines: &all, ways, known: None, newest: None };
    let newest = found.sections.iter().find(|section| section.is_released());
    let newest = newest.map_or(text.len(), |section| read.headings[section.heading].span.start);
    let mut next = 0;
    let mut lookalikes = Vec::new();
    for (index, (span, line)) in all.iter().enumerate() {
        let start = span.start + (line.len() - visible_start(line).len());
        while quiet.get(next).is_some_and(|quiet| quiet.end <= start) {
            next += 1;
        }
        let silent = quiet.get(next).is_some_and(|quiet| quiet.start <= start);
        if silent || line.len() > LONGEST {
            continue;
        }
        let told = if claim::may_claim(line) { finder.judge(index, start) } else { None };
        let above = start < newest;
        lookalikes.extend(told.or_else(|| above.then(|| finder.judge_above(index, start)).flatten()));
    }
    lookalikes.extend(finder.indented());
    lookalikes.sort_by_key(|lookalike| lookalike.span.start);
    lookalikes
}

/// Where nothing is a heading to a reader either, and the headings that are understood or complained about already; sorted.
fn quiet(text: &str, read: &Read, found: &Found) -> Vec<Span> {
    let headings =
        found.sections.iter().map(|section| section.heading).chain(found.strangers.iter().copied());
    let of_headings =
        headings.map(|index| &read.headings[index]).filter(|heading| !heading.text.contains('\n'));
    let of_html = read.html.iter().flat_map(|span| raw(text, span));
    let above = 0..read.start;
    let mut spans: Vec<Span> = std::iter::once(above)
        .chain(of_headings.map(|heading| heading.span.clone()))
        .chain(of_html)
        .chain(read.code.iter().cloned())
        .chain(read.comments.iter().cloned())
        .chain(read.definitions.iter().map(|definition| definition.span.clone()))
        .collect();
    spans.sort_by_key(|span| (span.start, span.end));
    // None may hide a longer one before it.
    spans.dedup_by(|later, earlier| later.end <= earlier.end);
    spans
}

/// The parts of a block of HTML that are shown as they are: `<pre>` and the like, and fences, which a reader takes for code.
fn raw(text: &str, html: &Span) -> Vec<Span> {
    let (mut open, mut found): (Option<(usize, &str)>, Vec<Span>) = (None, Vec::new());
    let ends =
        [("<pre", "</pre>"), ("<script", "</script>"), ("<style", "</style>"), ("<textarea", "</textarea>")];
    for (line, words) in lines(&text[html.clone()]) {
        let words = words.trim_start().to_ascii_lowercase();
        let (start, end) = (html.start + line.start, html.start + line.end);
        match open {
            Some((from, mark)) if words.contains(mark) => {
                found.push(from..end);
                open = None;
            }
            Some(_) => {}
            None => {
                let tag = ends
                    .iter()
                    .find(|(tag, end)| words.contains(tag) && !words.contains(end))
                    .map(|(_, end)| *end);
                let fence = ["```", "~~~"].into_iter().find(|fence| words.starts_with(fence));
                open = tag.or(fence).map(|mark| (start, mark));
            }
        }
    }
    found.extend(open.map(|(from, _)| from..html.end));
    found
}

struct Finder<'a> {
    text: &'a str,
    read: &'a Read,
    found: &'a Found,
    lines: &'a [(Span, &'a str)],
    /// How the file names its releases.
    ways: Ways,
    /// The versions of all sections, once somebody asks.
    known: Option<BTreeSet<Order>>,
    /// The highest version that is released, once somebody asks.
    newest: Option<Option<Order>>,
}

/// Where a line stands.
struct Place<'a> {
    /// The line before, and the one behind.
    before: &'a str,
    behind: &'a str,
    section: Option<&'a Section>,
    /// The level, if it is a heading.
    level: Option<u8>,
    /// That heading, as an index.
    heading: Option<usize>,
    html: bool,
}

impl<'a> Finder<'a> {
    fn judge(&mut self, index: usize, start: usize) -> Option<Lookalike> {
        let (span, line) = &self.lines[index];
        let claim = claim::of(&without_comments(line))?;
        let place = self.place(index);
        if !self.is_mistaken(&claim, &place, index, start) {
            return None;
        }
        let read_as = match (place.level, claim.dress) {
            (Some(level), _) => ReadAs::Heading(level),
            _ if place.html => ReadAs::Html,
            (_, dress) if dress.quoted => ReadAs::Quote,
            (_, dress) if dress.row => ReadAs::Row,
            (_, dress) if dress.item || self.item(start).is_some() => ReadAs::Item,
            _ => ReadAs::Text,
        };
        Some(Lookalike { span: start..span.start + line.trim_end().len(), version: claim.version, read_as })
    }

    fn place(&self, index: usize) -> Place<'a> {
        let line =
            |at: Option<usize>| at.and_then(|at| self.lines.get(at)).map_or("", |(_, line)| line.trim());
        let start = self.lines[index].0.start;
        let after = self
            .found
            .sections
            .partition_point(|section| self.read.headings[section.heading].span.start <= start);
        let within = |spans: &[Span]| {
            let after = spans.partition_point(|span| span.start <= start);
            after.checked_sub(1).is_some_and(|at| start < spans[at].end)
        };
        let after_heading =
            self.read.headings.partition_point(|heading| heading.span.start <= self.lines[index].0.end);
        let heading = after_heading.checked_sub(1).filter(|at| {
            let heading = &self.read.headings[*at];
            start < heading.span.end && !heading.text.contains('\n')
        });
        Place {
            before: line(index.checked_sub(1)).trim_start_matches(['>', ' ']),
            behind: line(Some(index + 1)).trim_start_matches(['>', ' ']),
            section: after.checked_sub(1).map(|at| &self.found.sections[at]),
            level: heading.map(|at| self.read.headings[at].level),
            heading,
            html: within(&self.read.html),
        }
    }

    fn is_mistaken(&mut self, claim: &Claim, place: &Place, index: usize, start: usize) -> bool {
        let (dress, whole) = (claim.dress, is_whole(claim));
        // An indented line of an entry goes on with it; four numbers are an address, unless the file's versions have as many.
        let goes_on = self.lines[index].1.starts_with([' ', '\t'])
            && self.item(start).is_some_and(|item| self.read.blocks[item].span.start + 3 < start);
        let address = claim.parts == 4 && claim::is_address(&claim.version) && !self.ways.has(4);
        if goes_on && !dress.hash && !dress.item || address || dress.dot && !dress.hash && !claim.dated {
            return false;
        }
        if place.level.is_some() {
            return claim.clean
                && (claim.parts >= 3 || claim.dated && claim.parts == 2)
                && self.is_foreign(claim, place);
        }
        let contained = dress.quoted || dress.item || dress.row;
        if dress.hash && (whole || claim.clean && claim.parts == 2) && (claim.clean || claim.leads) {
            return !contained || self.is_foreign(claim, place);
        }
        let said = claim.leads_away && (!claim.dated || dress.item)
            || claim.unreleased
            || claim.several && !claim.dated
            || claim.sentence && !claim.dated;
        if !claim.clean
            || dress.code
            || said
            || !(whole || dress.bold && claim.parts == 2)
            || !self.is_foreign(claim, place)
        {
            return false;
        }
        let alone = self.stands_alone(place, index);
        match dress {
            _ if dress.item => self.heads_a_list(claim, start),
            _ if dress.row => dress.bold || self.is_newest_row(claim, index),
            _ if dress.quoted => claim.dated || dress.bold,
            _ if place.html => claim.dated || dress.bold,
            _ => claim.dated || alone,
        }
    }

    /// Whether a version is neither that of a section nor of a part of the section that it stands in.
    fn is_foreign(&mut self, claim: &Claim, place: &Place) -> bool {
        let Some(order) = Order::of(&claim.version) else { return true };
        let own = place.section.and_then(Section::version).and_then(|version| Order::of(&version.text));
        let part = own.is_some_and(|own| {
            own.same_numbers(&order) && (order.is_before_release() || order == own)
                || own.is_series_of(&order) && !claim.dated
        });
        !part && !self.known().contains(&order)
    }

    fn known(&mut self) -> &BTreeSet<Order> {
        self.known.get_or_insert_with(|| {
            let versions = self.found.sections.iter().filter_map(Section::version);
            versions
                .flat_map(|version| std::iter::once(&version.text).chain(&version.also))
                .filter_map(|name| Order::of(name))
                .collect()
        })
    }

    /// Whether a version without a day is a line of its own, and not one that prose was broken before, nor one of several.
    fn stands_alone(&self, place: &Place, index: usize) -> bool {
        let introduced =
            self.lines[..index].iter().rev().map(|(_, line)| line.trim()).find(|line| !line.is_empty());
        if introduced.is_some_and(|line| line.ends_with([':', ',']))
            || is_another(place.before)
            || is_another(place.behind)
        {
            return false;
        }
        if is_line(place.behind) {
            return true;
        }
        // A line that ends in the middle of a sentence goes on with this one.
        let closed =
            place.before.starts_with(['-', '*', '+']) || place.before.ends_with(['.', '!', '?', ')', '`']);
        let opens = place.before.is_empty()
            || is_line(place.before)
            || place.before.starts_with(['#', '<', '|'])
            || place.before.starts_with("```")
            || place.before.starts_with("~~~");
        // An indented line goes on with what stands above.
        let ends = !self.lines[index].1.starts_with([' ', '\t'])
            && (place.behind.is_empty() || place.behind.starts_with(['-', '*', '+', '#']));
        let joins = [
            "to", "in", "since", "version", "from", "until", "before", "of", "and", "or", "with", "by",
            "than", "for", "ke", "dari",
        ];
        let last = place.before.rsplit(' ').next().unwrap_or_default().to_lowercase();
        opens || ends && closed && place.before.len() < WRAPPED && !joins.contains(&last.as_str())
    }

    /// The item of a list that a place is in; items within items are no blocks of their own.
    fn item(&self, start: usize) -> Option<usize> {
        let after = self.read.blocks.partition_point(|block| block.span.start <= start);
        let last = after.checked_sub(1)?;
        let block = &self.read.blocks[last];
        (matches!(block.kind, BlockKind::Item(_)) && start < block.span.end).then_some(last)
    }

    /// Whether an entry that names a version is the heading of what follows, and not one of a list of versions.
    fn heads_a_list(&self, claim: &Claim, start: usize) -> bool {
        let blocks = &self.read.blocks;
        let Some(index) = self.item(start).filter(|index| start <= blocks[*index].span.start + 3) else {
            return false;
        };
        let item = |block: &&Block| matches!(block.kind, BlockKind::Item(_));
        let touches = |pair: &[Block]| {
            self.text[pair[0].span.end.min(pair[1].span.start)..pair[1].span.start].trim().is_empty()
        };
        let joined = |pair: &&[Block]| pair.iter().all(|block| item(&block)) && touches(pair);
        let behind = blocks[index..].windows(2).take_while(joined).take(NEIGHBOURS).count();
        let before = blocks[..=index].windows(2).rev().take_while(joined).take(NEIGHBOURS).count();
        let list = &blocks[index - before..=index + behind];
        let titles = list.iter().filter(|block| is_another(self.first_line(block))).count();
        let nested = self.text[blocks[index].span.clone()].trim_end().contains('\n');
        if claim.dated || claim.dress.bold && nested {
            return nested || titles < 2;
        }
        let introduced = self.text[..list[0].span.start].trim_end().ends_with([':', ',']);
        let followed = blocks
            .get(index + 1)
            .is_some_and(|next| matches!(next.kind, BlockKind::Item(_) | BlockKind::Paragraph));
        titles < 2 && before == 0 && !introduced && (nested || followed)
    }

    fn first_line(&self, block: &Block) -> &'a str {
        self.text[block.span.clone()].lines().next().unwrap_or_default()
    }

    /// A row of a table with a version and a day that would be the newest release.
    fn is_newest_row(&mut self, claim: &Claim, index: usize) -> bool {
        let dated = claim.dated || crate::date::find(self.lines[index].1).is_some();
        let sections = &self.found.sections;
        let newest = self.newest.get_or_insert_with(|| {
            let released =
                sections.iter().filter(|section| section.is_released()).filter_map(Section::version);
            released.filter_map(|version| Order::of(&version.text)).max()
        });
        let newer = |order: Order| newest.as_ref().is_none_or(|newest| order > *newest);
        dated && Order::of(&claim.version).is_some_and(newer)
    }

    /// One line that its indentation makes code, above all releases: perhaps a slip.
    fn indented(&mut self) -> Vec<Lookalike> {
        let first = self.found.sections.iter().find(|section| section.is_released());
        let end = first.map_or(0, |section| self.read.headings[section.heading].span.start);
        let above = self
            .read
            .blocks
            .iter()
            .filter(|block| block.kind == BlockKind::Code(false) && block.span.end <= end);
        let mut found = Vec::new();
        for block in above {
            let line = self.text[block.span.clone()].trim();
            let claim = if line.contains('\n') { None } else { claim::of(line) };
            let nowhere =
                Place { before: "", behind: "", section: None, level: None, heading: None, html: false };
            if let Some(claim) = claim.filter(|claim| claim.dress.hash && claim.clean)
                && self.is_foreign(&claim, &nowhere)
            {
                let start = block.span.start
                    + (self.text[block.span.clone()].len()
                        - self.text[block.span.clone()].trim_start().len());
                found.push(Lookalike {
                    span: start..start + line.len(),
                    version: claim.version,
                    read_as: ReadAs::Code,
                });
            }
        }
        found
    }
}

/// Whether it can be nothing but a version: of three numbers, or with something that says so.
fn is_whole(claim: &Claim) -> bool {
    match claim.parts {
        3 | 4 => true,
        2 => claim.dated || claim.named || claim.bracketed,
        _ => claim.dress.hash && claim.named && claim.clean,
    }
}

/// Whether a line is only a version as well, and no heading.
fn is_another(line: &str) -> bool {
    claim::of(line).is_some_and(|claim| claim.clean && !claim.dress.hash)
}

/// A line across, or one that is drawn below a heading.
fn is_line(text: &str) -> bool {
    let Some(sign) = text.chars().next().filter(|c| "-=~^_*+".contains(*c)) else { return false };
    text.chars().filter(|c| *c == sign).count() >= 3 && text.chars().all(|c| c == sign || c == ' ')
}

/// A line from what a reader sees first: behind blanks, marks, and comments.
fn visible_start(line: &str) -> &str {
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    let mut rest = line.trim_start_matches(blank);
    while let Some(end) = rest.strip_prefix("<!--").and_then(|inside| inside.find("-->")) {
        let behind = rest[4 + end + 3..].trim_start_matches(blank);
        if behind.is_empty() {
            break;
        }
        rest = behind;
    }
    rest
}

/// A line without the comments in it.
fn without_comments(line: &str) -> String {
    let mut result = line.to_owned();
    while let Some(open) = result.find("<!--") {
        let end = result[open..].find("-->").map_or(result.len(), |at| open + at + 3);
        result.replace_range(open..end, "");
    }
    result
}
