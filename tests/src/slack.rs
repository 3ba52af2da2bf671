//! What Slack shows of a message: its blocks where there are some, else its text; and what it refuses. After Slack's pages on Block Kit
//! (rich text: sections, quotes and preformatted text of text, links and dates) and on `mrkdwn`.

use serde_json::Value;

/// What people see.
///
/// # Errors
/// Slack's own word for what is wrong.
pub fn shown(body: &Value) -> Result<String, &'static str> {
    let text = body["text"].as_str().unwrap_or_default();
    if text.chars().count() > 40_000 {
        return Err("msg_too_long");
    }
    let Some(blocks) = body.get("blocks") else {
        return if text.is_empty() { Err("no_text") } else { Ok(by_text(text, body["mrkdwn"] != false)) };
    };
    let blocks = blocks.as_array().filter(|b| (1..=50).contains(&b.len())).ok_or("invalid_blocks")?;
    if body["blocks"].to_string().chars().count() > 13_200 * 4 {
        return Err("msg_blocks_too_long");
    }
    let shown: Option<Vec<String>> = blocks.iter().map(rich_text).collect();
    Ok(shown.ok_or("invalid_blocks")?.join("\n"))
}

/// Markup takes the signs away; escapes are undone.
fn by_text(text: &str, mrkdwn: bool) -> String {
    let text = if mrkdwn { without_pairs(text) } else { text.to_owned() };
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// `*bold*` and its kin: a pair of signs with a word between them, at the borders of words.
fn without_pairs(text: &str) -> String {
    let mut out = text.to_owned();
    for sign in ['*', '_', '~', '`'] {
        let mut from = 0;
        while let Some(open) = out[from..].find(sign).map(|i| from + i) {
            from = open + 1;
            let free =
                out[..open].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '\u{2060}');
            let word = out[from..]
                .find(sign)
                .filter(|end| *end > 0 && !out[from..from + end].contains(['\n', '\u{2060}']));
            if let (true, Some(end)) = (free, word) {
                out.replace_range(from + end..=from + end, "");
                out.replace_range(open..=open, "");
            }
        }
    }
    out
}

fn rich_text(block: &Value) -> Option<String> {
    (block["type"] == "rich_text").then_some(())?;
    let parts = block["elements"].as_array().filter(|parts| !parts.is_empty())?;
    let shown: Option<Vec<String>> = parts.iter().map(part).collect();
    Some(shown?.join("\n"))
}

fn part(part: &Value) -> Option<String> {
    let known = ["rich_text_section", "rich_text_quote", "rich_text_preformatted"];
    known.contains(&part["type"].as_str()?).then_some(())?;
    let elements = part["elements"].as_array().filter(|elements| !elements.is_empty())?;
    let plain = part["type"] == "rich_text_preformatted";
    elements.iter().map(|element| self::element(element, plain)).collect()
}

fn element(element: &Value, plain: bool) -> Option<String> {
    let styles = element.get("style").map(|style| style.as_object().cloned().unwrap_or_default());
    let known = |name: &str| ["bold", "italic", "strike", "underline", "code"].contains(&name);
    styles.is_none_or(|s| s.iter().all(|(name, on)| known(name) && on.is_boolean())).then_some(())?;
    let text = |key: &str| element[key].as_str().filter(|t| !t.is_empty()).map(str::to_owned);
    match element["type"].as_str()? {
        "text" => text("text"),
        "link" => text("url").map(|url| text("text").unwrap_or(url)),
        "date" if !plain => {
            let usable = element["timestamp"].as_i64().is_some_and(|t| t > 0) && text("format").is_some();
            usable.then(|| text("fallback").unwrap_or_default())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_takes_signs_away_and_refuses_what_is_empty() {
        assert_eq!(shown(&json!({ "text": "a *b* _c_ 2*3*4 &lt;x&gt;" })).as_deref(), Ok("a b c 2*3*4 <x>"));
        assert_eq!(shown(&json!({ "text": "a *b*", "mrkdwn": false })).as_deref(), Ok("a *b*"));
        assert_eq!(
            shown(&json!({ "text": "\u{2060}*\u{2060}b\u{2060}*\u{2060}" })).map(|t| t.matches('*').count()),
            Ok(2)
        );
        let block = |elements: Value| json!({ "text": "x", "blocks": [{ "type": "rich_text", "elements": elements }] });
        let section = |elements: Value| block(json!([{ "type": "rich_text_section", "elements": elements }]));
        assert_eq!(shown(&section(json!([{ "type": "text", "text": "*a*" }]))).as_deref(), Ok("*a*"));
        for wrong in [
            block(json!([])),
            section(json!([])),
            section(json!([{ "type": "text", "text": "" }])),
            section(json!([{ "type": "text", "text": "x", "style": { "loud": true } }])),
        ] {
            assert_eq!(shown(&wrong), Err("invalid_blocks"), "{wrong}");
        }
    }
}
