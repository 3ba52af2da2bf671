//! How a list is read, and what is wrong with one.

use super::*;

fn named(text: &str) -> Vec<(String, String, bool)> {
    let items = read(text).unwrap_or_else(|why| panic!("{why}\n{text}"));
    items.into_iter().map(|item| (item.slug, item.title, item.required)).collect()
}

fn item(slug: &str, title: &str, required: bool) -> (String, String, bool) {
    (slug.to_owned(), title.to_owned(), required)
}

#[test]
fn every_item_is_a_check_with_a_name_that_stays() {
    let text = "---\nfor: QA\n---\n\n# The list\n\nSome words, `code` too.\n\n- [ ] Log in\n\n## Checkout\n\n\
        - [ ] Pay with a *card* (3-D `Secure`)\n\
        - [x] `checkout.qris` Pay with QRIS, on\n  two lines\n\
        - Pay later (optional)\n\
        * [ ] `promo` A code of the shop's (Optional)\n\n\
        ## Orders & more\n\n1. An order is [mailed](https://x)\n\n   More about it.\n\n   > and more\n\n   - [ ] to the shop\n     - with a number\n   - [ ] `orders.copy` to accounting\n2. Refund\n";
    assert_eq!(
        named(text),
        [
            item("the-list.log-in", "Log in", true),
            item("checkout.pay-with-a-card-3-d-secure", "Pay with a card (3-D Secure)", true),
            item("checkout.qris", "Pay with QRIS, on two lines", true),
            item("checkout.pay-later", "Pay later", false),
            item("promo", "A code of the shop's", false),
            item("orders-more.an-order-is-mailed", "An order is mailed", true),
            item("orders-more.an-order-is-mailed.to-the-shop", "to the shop", true),
            item("orders-more.an-order-is-mailed.to-the-shop.with-a-number", "with a number", true),
            item("orders.copy", "to accounting", true),
            item("orders-more.refund", "Refund", true),
        ]
    );
}

#[test]
fn items_may_stand_below_no_heading_and_have_any_letters() {
    assert_eq!(named("- Bayar\n"), [item("bayar", "Bayar", true)]);
    assert_eq!(
        named("# \u{652f}\u{6255}\n- \u{c4}rger \u{1b}[2Jx\n"),
        [item("\u{652f}\u{6255}.\u{e4}rger-x", "\u{c4}rger x", true)]
    );
    assert_eq!(named("- `only.code`\n"), [item("only.code", "only.code", true)]);
    assert_eq!(
        named("- see `code` later\r\n- \\`not code\r\n"),
        [item("see-code-later", "see code later", true), item("not-code", "`not code", true)]
    );
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (text, why) in [
        ("", "there is no list in it"),
        ("# Only\n\nwords\n", "there is no list in it"),
        ("- a\n- b\n\n\n- A!\n", "line 5: `a` is there already, in line 1"),
        ("# x\n- `x.a` first\n- a\n", "line 3: `x.a` is there already, in line 2"),
        ("- a\n-\n", "line 2: the item has no text"),
        ("- (optional)\n", "line 1: the item has no text"),
        ("\n- !!!\n", "line 2: the item has no letters"),
        ("# x\n- !!!\n", "line 2: the item has no letters"),
        ("- `Checkout card` Pay\n", "line 1: `Checkout card` is no name of an item"),
        ("- `/checkout` loads\n", "line 1: `/checkout` is no name of an item"),
        ("- `a.` x\n", "is no name of an item"),
    ] {
        let said = read(text).expect_err(text);
        assert!(said.contains(why), "{text:?}: {said}");
    }
    let long = read(&format!("- {}\n", "long ".repeat(100))).expect_err("too long");
    assert!(long.contains("line 1: the item is too long"), "{long}");
    let many: String = (0..=ITEMS).map(|n| format!("- item {n}\n")).collect();
    assert!(read(&many).expect_err("too many").starts_with("line 1001: there are more than 1000 items"));
}
