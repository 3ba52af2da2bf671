//! What a list must not be for a yes.

use super::*;

const TAG: &str = "v1.2.0-rc1";

fn commit() -> String {
    "9f2c41d07ab3".repeat(4)[..40].to_owned()
}

fn row(item: &str, status: &str) -> Value {
    let by = (status != "pending").then_some("Rina");
    let note = (status == "waived").then_some("the printer is broken");
    json!({ "item": item, "title": format!("Try {item}"), "required": true, "status": status, "source": "manual",
        "candidate": TAG, "commit_sha": commit(), "checked_by": by, "note": note })
}

fn judged(rows: &[Value], least: usize) -> Judged {
    let raw = |row: &Value| serde_json::from_value::<Raw>(row.clone()).unwrap_or_default();
    let rows: Vec<Raw> = rows.iter().map(raw).collect();
    judge(&rows, &Terms { tag: TAG, commit: &commit(), least, empty: "there is no row" })
}

fn said(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Yes(evidence) | Verdict::No(evidence) => evidence.all().collect::<Vec<_>>().join(" | "),
        Verdict::Unknown(why) => why.clone(),
    }
}

/// Rows as words: `item=status`, and behind it what else it is.
fn rows(words: &str) -> Vec<Value> {
    words.split_whitespace().map(one).collect()
}

fn one(word: &str) -> Value {
    let mut flags = word.split(',');
    let Some((item, status)) = flags.next().and_then(|first| first.split_once('=')) else {
        return json!(null);
    };
    let mut one = row(item, status);
    for flag in flags {
        let (key, value) = match flag {
            "optional" => ("required", json!(false)),
            "text-for-flag" => ("required", json!("false")),
            "other-commit" => ("commit_sha", json!("8f2c".repeat(10))),
            "other-candidate" => ("candidate", json!("v1.2.0-rc2")),
            "by-nobody" => ("checked_by", json!(null)),
            "without-note" => ("note", json!(null)),
            "invisible" => ("checked_by", json!("\u{3164}\u{2060}")),
            "dots-for-note" => ("note", json!("\u{3164} ...")),
            "blank-note" => ("note", json!(" \n")),
            "without-title" => ("title", json!(null)),
            "playwright" => ("source", json!("playwright")),
            _ => panic!("{flag}"),
        };
        one[key] = value;
    }
    one
}

/// A list, the least items, and what it is: the verdict's word and a part of its words.
const CASES: &[(&str, usize, &str, &str)] = &[
    ("a=pass b=pass", 2, "yes", "2 of 2 required items of v1.2.0-rc1 are passed"),
    ("a=pass b=waived", 2, "yes", "b (Try b) is waived by Rina: the printer is broken"),
    ("a=pass b=fail,optional", 2, "yes", "b (Try b) is optional, and fail"),
    ("a=pass b=pending,optional", 1, "yes", "is optional, and pending"),
    // Nothing, too little, or nothing that counts.
    ("", 1, "unknown", "there is no row"),
    ("", 0, "unknown", "there is no row"),
    ("a=pass", 2, "unknown", "has 1 item, and checklist.min_items asks for 2"),
    ("a=pass,optional", 1, "unknown", "none is required and passed"),
    ("a=waived b=waived", 2, "unknown", "nothing was tested"),
    // Open.
    ("a=pass b=pending", 2, "unknown", "are open: b (Try b) is not answered yet: QA can answer it"),
    (
        "a=pass b=pending,playwright",
        1,
        "unknown",
        "are open: b (Try b) is not answered yet: the playwright suite can",
    ),
    ("a=pass b=waived,without-note", 1, "unknown", "are open: b (Try b) is waived without a note"),
    ("a=pass b=waived,blank-note", 1, "unknown", "are open: b (Try b) is waived without a note"),
    ("a=pass b=waived,dots-for-note", 1, "unknown", "are open: b (Try b) is waived without a note"),
    ("a=pass b=pass,invisible", 1, "unknown", "are open: b (Try b) names nobody who has checked it"),
    ("a=pass b=waived,invisible", 1, "unknown", "are open: b (Try b) names nobody who has checked it"),
    ("a=pass b=pass,by-nobody", 1, "unknown", "are open: b (Try b) names nobody who has checked it"),
    // Wrong.
    ("a=pass b=fail", 1, "no", "b (Try b) failed by Rina"),
    ("a=pass b=blocked", 1, "no", "b (Try b) is blocked"),
    ("b=fail c=pending", 9, "no", "failed by Rina | c (Try c) is not answered yet"),
    (
        "a=pass b=pass,other-commit",
        1,
        "no",
        "b (Try b) is about commit 8f2c8f2c8f2c, and v1.2.0-rc1 is 9f2c41d07ab3",
    ),
    ("a=pass b=pass,other-commit,optional", 1, "no", "is about commit 8f2c"),
    // Odd.
    ("a=pass b=ok", 1, "unknown", "the list cannot be read: the status of b is `ok`"),
    ("a=pass b=ok,optional", 1, "unknown", "the list cannot be read: the status of b is `ok`"),
    ("a=pass b=pass,without-title", 1, "unknown", "b has no title"),
    ("a=pass b=pass,text-for-flag", 1, "unknown", "neither true nor false"),
    ("a=pass a=pass", 2, "unknown", "a (Try a) is there twice"),
    ("a=pass b=pass,other-candidate", 1, "unknown", "b (Try b) is of v1.2.0-rc2, not of v1.2.0-rc1"),
    ("a=pass null null", 1, "unknown", "(and 1 odd row more)"),
    // What is wrong is wrong, whatever else is odd.
    ("a=fail null", 1, "no", "a (Try a) failed"),
];

#[test]
fn a_yes_rests_on_items_that_were_passed_on_this_commit() {
    for (list, least, word, part) in CASES {
        let judged = judged(&rows(list), *least);
        let words = said(&judged.verdict);
        assert_eq!(judged.verdict.word(), *word, "{list}: {words}");
        assert!(words.contains(part), "{list}: {words}");
        let is_open = part.contains("are open");
        assert_eq!(judged.is_passing, is_open, "{list}: only who waits for people asks again");
    }
}

#[test]
fn what_is_open_and_what_is_waived_is_kept() {
    let mut rows: Vec<Value> = (0..60).map(|n| row(&format!("item-{n}"), "pending")).collect();
    rows.push(row("last", "waived"));
    let Judged { details, open, .. } = judged(&rows, 1);
    assert_eq!((open.len(), details["open"].as_array().map(Vec::len)), (60, Some(KEPT)));
    assert_eq!(details["waived"][0]["note"], "the printer is broken");
    assert_eq!(
        (&details["items"], &details["required"], &details["passed"]),
        (&json!(61), &json!(61), &json!(0))
    );
}

#[test]
fn hostile_words_stay_words() {
    let mut hostile = row("x'; drop table qa_checks; --", "fail");
    hostile["title"] = json!("\u{1b}]0;x\u{7}Pay\nignore all of this");
    let Judged { verdict, details, .. } = judged(&[hostile], 1);
    assert_eq!(said(&verdict), "x'; drop table qa_checks; -- (Pay ignore all of this) failed by Rina");
    assert!(!json!(details).to_string().contains("u001b"), "{details:?}");
}
