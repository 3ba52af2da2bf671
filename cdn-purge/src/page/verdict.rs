//! Where a copy came from, in the words of all edges, and which place of the edge has answered. Pure.

/// Where a copy came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cached {
    /// From a cache that holds it.
    Hit,
    /// The cache had to ask.
    Miss,
    /// An old copy, while the cache asks.
    Stale,
    /// Pages like this one are not kept (Cloudflare's DYNAMIC, a BYPASS, no-store).
    Never,
    /// Nothing says.
    #[default]
    Unsaid,
}

/// The headers in which edges say where a copy came from. `x-nextjs-cache` is none of them: it is the origin's own cache, frozen
/// into the copy.
const VERDICTS: [&str; 5] = ["cf-cache-status", "cache-status", "x-cache", "x-cache-status", "cdn-cache"];

/// What tells a cache something else than `Cache-Control` tells browsers.
const APART: [&str; 5] = [
    "surrogate-control",
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "vercel-cdn-cache-control",
    "x-accel-expires",
];

/// Whether an answer has orders for caches alone.
pub fn is_told_apart<'a>(header: impl Fn(&str) -> Option<&'a str>) -> bool {
    APART.into_iter().any(|name| header(name).is_some())
}

/// The edge's own word, and ours for it. `apart` is whether the origin has orders for caches alone, which an edge takes off the answer;
/// `None` when the origin was not asked.
pub fn verdict<'a>(
    header: impl Fn(&str) -> Option<&'a str>,
    apart: Option<bool>,
) -> (Option<String>, Cached) {
    let word = VERDICTS.into_iter().find_map(|name| header(name).map(|text| (name, text)));
    let word = word.or_else(|| header("x-varnish").map(|text| ("x-varnish", text)));
    let aged = header("age").and_then(|age| age.trim().parse::<u64>().ok()).is_some_and(|age| age > 0);
    let control = header("cache-control").unwrap_or_default();
    let private = ["no-store", "private"].iter().any(|word| control.contains(word));
    let private = private && apart == Some(false) && !is_told_apart(&header);
    let said = match word {
        // Several hops are written from the origin outwards: the last one is the edge (RFC 9211; Fastly's X-Cache).
        Some(("cache-status", text)) => cache_status(text.rsplit(',').next().unwrap_or(text)),
        // Its own request, and the one that has fetched the copy, if it is a copy.
        Some(("x-varnish", text)) if text.split_whitespace().count() > 1 => Cached::Hit,
        Some(("x-varnish", _)) => Cached::Miss,
        Some((_, text)) => plain(text.rsplit(',').next().unwrap_or(text)),
        None => Cached::Unsaid,
    };
    let cached = match said {
        Cached::Unsaid if aged => Cached::Hit,
        Cached::Unsaid | Cached::Miss if private => Cached::Never,
        said => said,
    };
    (word.map(|(_, text)| text.to_owned()), cached)
}

/// Which copy it was, where the edge says so: Varnish names the request that has fetched it.
pub fn object<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    header("x-varnish").and_then(|text| text.split_whitespace().nth(1)).map(str::to_owned)
}

fn plain(word: &str) -> Cached {
    // Squid, CloudFront and Akamai name themselves after it: `HIT from mission.example`.
    let word = word.split(" from ").next().unwrap_or(word).to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|w| word.contains(w));
    if has(&["STALE", "UPDATING"]) {
        Cached::Stale
    } else if has(&["MISS", "EXPIRED"]) {
        Cached::Miss
    } else if has(&["HIT", "REVALIDATED"]) {
        Cached::Hit
    } else if has(&["DYNAMIC", "BYPASS", "PASS", "NONE", "UNKNOWN"]) {
        Cached::Never
    } else {
        Cached::Unsaid
    }
}

/// RFC 9211: `name; hit; ttl=30`, or `name; fwd=stale; fwd-status=304`.
fn cache_status(hop: &str) -> Cached {
    let parameter = |wanted: &str| hop.split(';').skip(1).any(|p| p.trim() == wanted);
    match () {
        // Souin says both of an old copy that it serves.
        () if parameter("hit") && parameter("fwd=stale") => Cached::Stale,
        () if parameter("hit") => Cached::Hit,
        () if parameter("fwd=bypass") => Cached::Never,
        () if hop.contains("fwd=") => Cached::Miss,
        () => Cached::Unsaid,
    }
}

/// Where the edge that answered stands.
pub fn pop<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    let last = |text: &'a str, at: char| text.rsplit_once(at).map(|(_, pop)| pop.trim());
    let pop = header("cf-ray").and_then(|ray| last(ray, '-'));
    let pop = pop.or_else(|| header("x-amz-cf-pop"));
    let pop = pop.or_else(|| header("x-served-by").and_then(|by| last(by, '-')));
    let bunny = || header("server").and_then(|s| s.strip_prefix("BunnyCDN-")?.split('-').next());
    pop.or_else(bunny).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edges_word_is_understood() {
        let table = [
            ("cf-cache-status", "HIT", Cached::Hit),
            ("cf-cache-status", "REVALIDATED", Cached::Hit),
            ("cf-cache-status", "EXPIRED", Cached::Miss),
            ("cf-cache-status", "UPDATING", Cached::Stale),
            ("cf-cache-status", "DYNAMIC", Cached::Never),
            ("x-cache", "MISS, HIT", Cached::Hit),
            ("x-cache", "HIT, MISS", Cached::Miss),
            ("x-cache", "Hit from cloudfront", Cached::Hit),
            ("x-cache", "RefreshHit from cloudfront", Cached::Hit),
            ("x-cache", "Error from cloudfront", Cached::Unsaid),
            ("x-cache", "TCP_REFRESH_MISS", Cached::Miss),
            ("x-cache", "MISS from hits.example, HIT from mission.example", Cached::Hit),
            ("x-cache", "MISS from mission.example, MISS from hits.example", Cached::Miss),
            ("x-cache-status", "BYPASS", Cached::Never),
            ("x-cache-status", "STALE", Cached::Stale),
            ("cdn-cache", "HIT", Cached::Hit),
            ("cache-status", "Origin; fwd=miss, Souin; hit; ttl=30", Cached::Hit),
            ("cache-status", "Souin; fwd=stale; fwd-status=304", Cached::Miss),
            ("cache-status", "Souin; hit; ttl=4; key=GET-http-shop.example-/; detail=DEFAULT", Cached::Hit),
            (
                "cache-status",
                "Souin; hit; ttl=-1; key=GET-http-a-/; detail=DEFAULT; fwd=stale",
                Cached::Stale,
            ),
            ("cache-status", "Souin; fwd=uri-miss; stored; key=GET-http-shop.example-/", Cached::Miss),
            ("age", "7", Cached::Hit),
            ("age", "0", Cached::Unsaid),
            ("x-nextjs-cache", "HIT", Cached::Unsaid),
            ("cache-control", "private, no-store", Cached::Never),
            ("x-varnish", "32770", Cached::Miss),
            ("x-varnish", "32772 32770", Cached::Hit),
        ];
        for (name, value, wanted) in table {
            assert_eq!(verdict(|n| (n == name).then_some(value), Some(false)).1, wanted, "{name}: {value}");
        }
    }

    #[test]
    fn the_place_is_read_from_what_each_vendor_sends() {
        let table = [
            ("cf-ray", "8c1f2e3d4b5a6978-SIN", "SIN"),
            ("x-served-by", "cache-iad-1, cache-jfk8-JFK", "JFK"),
            ("x-amz-cf-pop", "CGK51-P1", "CGK51-P1"),
            ("server", "BunnyCDN-SG1-900", "SG1"),
        ];
        for (name, value, wanted) in table {
            assert_eq!(pop(|n| (n == name).then_some(value)).as_deref(), Some(wanted));
        }
        assert_eq!(pop(|n| (n == "server").then_some("nginx")), None);
    }

    #[test]
    fn what_is_private_for_browsers_may_be_kept_by_the_edge() {
        let header = |name: &str| match name {
            "cache-control" => Some("private, no-store"),
            "x-cache" => Some("MISS"),
            _ => None,
        };
        assert_eq!(verdict(header, Some(false)).1, Cached::Never);
        assert_eq!(verdict(header, Some(true)).1, Cached::Miss, "the origin tells caches something else");
        assert_eq!(verdict(header, None).1, Cached::Miss, "nobody has asked the origin");
        let told = |name: &str| if name == "surrogate-control" { Some("max-age=60") } else { header(name) };
        assert_eq!(verdict(told, Some(false)).1, Cached::Miss);
    }
}
