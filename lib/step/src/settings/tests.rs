//! What settings take, and what they say of a slip.

use super::*;

const SETTINGS: &[Setting] = &[
    Setting::new("driver", Kind::Word(&["http", "bunny"]), "who keeps the pages"),
    Setting::new("endpoint", Kind::List(&Kind::Text), "where purges go"),
    Setting::new("settle", Kind::Time, "how long").default("30s"),
    Setting::new("workers", Kind::Whole(1, 64), "how many").default("8"),
    Setting::new("token", Kind::Secret("CDN_TOKEN"), "the token"),
    Setting::new("channels.*.kind", Kind::Text, "what it is"),
    Setting::new("channels.*.chat_id", Kind::Id, "which chat"),
];

fn settings(text: &str) -> Result<Settings, Failure> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(FILE);
    std::fs::write(&file, text).expect("written");
    Settings::load("cdn-purge", SETTINGS, Some(&file), Some("production"), Care::All)
}

fn complaint(text: &str) -> String {
    settings(text).expect_err("refused").message.clone()
}

#[test]
fn the_environments_table_lies_over_the_steps_own() {
    let text =
        "[cdn-purge]\ndriver = 'http'\nendpoint = 'a'\n[environment.production.cdn-purge]\nendpoint = 'b'\n";
    let settings = settings(text).expect("read");
    assert_eq!(settings.value::<String>("driver").expect("set"), "http");
    assert_eq!(settings.list::<String>("endpoint").expect("set"), ["b"]);
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_right_one() {
    let said = complaint("[product]\nname = 'x'\n\n[environment.production.cdn-purge]\nendpiont = 'b'\n");
    assert!(
        said.contains(":5: unknown key `endpiont`") && said.contains("did you mean `endpoint`?"),
        "{said}"
    );
    let said = complaint("[cdn-purge.channels.a]\nkindd = 'x'\n");
    assert!(said.contains("did you mean `kind`?"), "{said}");
    let said = complaint("[cdn-pruge]\ndriver = 'x'\n");
    assert!(said.contains("did you mean `cdn-purge`?"), "{said}");
    let said = complaint("[environment.production]\nbranches = 'main'\n");
    assert!(said.contains("did you mean `branch`?"), "{said}");
}

#[test]
fn a_misspelt_table_of_an_environment_is_an_error_for_every_program() {
    let said = complaint("[environment.staging.release-gat]\nstop_writes = 'x'\n[environment.production]\n");
    assert!(said.contains("did you mean `release-gate`?"), "{said}");
    settings("[environment.production.release-gate]\nstop_writes = 'x'\n").expect("another program's");
}

#[test]
fn the_old_name_of_a_table_names_the_new_one() {
    for table in ["release-ledger", "environment.production.release-ledger"] {
        let said = complaint(&format!("[{table}]\nlease = '1h'\n[environment.production]\n"));
        assert!(said.contains("release-run] now: rename it"), "{said}");
    }
}

#[test]
fn another_steps_table_and_numbers_are_left_alone() {
    let text = "[notify]\nwhatever = 1\n[cdn-purge.channels.a]\nchat_id = -1001\n[environment.production]\n";
    let settings = settings(text).expect("read");
    assert_eq!(settings.value::<String>("channels.a.chat_id").expect("set"), "-1001");
    assert_eq!(settings.names("channels"), ["a"]);
}

#[test]
fn a_broken_file_is_named_with_its_line() {
    let said = complaint("[product]\nname = \n");
    assert!(said.contains("release.toml:2:"), "{said}");
}

#[test]
fn what_is_quoted_of_a_file_is_never_a_value_that_may_be_a_secret() {
    const CANARY: &str = "k4nary";
    for text in [
        "[cdn-purge]\nendpoint = [\n  ['k4nary'],\n]\n",
        "[cdn-purge]\nendpoint = [\n  [{ a = { b = 'k4nary' } }],\n]\n",
        "[cdn-pruge] # k4nary\n",
        "[cdn-purge]\ndriver = 'http'\nk4nary+Zm9v== x\n",
        "[cdn-purge]\nk4narytoolongforakeyofanybodyandsoitmaybeasecretofsomebody= = x\n",
        "[cdn-purge]\nendpoint = { k4nary = 5 }\n",
    ] {
        let failure = settings(text).expect_err("refused");
        let said = format!("{} {:?}", failure.message, failure.causes);
        assert!(!said.contains(CANARY), "{text}: {said}");
    }
    let failure = settings("[product]\n[cdn-pruge] # mine\ndriver = 'http'\n").expect_err("refused");
    assert_eq!(failure.causes, ["2 | [cdn-pruge]", "  |  ^^^^^^^^^"]);
}

#[test]
fn the_name_of_a_secrets_file_is_shown_where_there_is_a_file_or_its_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let there = folder.path().join("token");
    std::fs::write(&there, "x").expect("written");
    let long = "a/b".repeat(200);
    for (text, shown) in [
        (there.to_str().expect("text"), true),
        (folder.path().join("not-there-yet").to_str().expect("text"), true),
        ("correct-horse-battery", false),
        ("/Zm9vYmFyYmF6cXV4", false),
        ("Zm9v/YmFyYmF6cXV4", false),
        (long.as_str(), false),
    ] {
        assert_eq!(names_a_file(text, &folder.path().join(text)), shown, "{text}");
    }
}

#[test]
fn an_environment_that_is_not_there_is_refused() {
    let said = complaint("[environment.staging]\nbranch = 'staging'\n");
    assert!(said.contains("no [environment.production]; it has staging"), "{said}");
}

#[test]
fn names_that_people_chose_may_have_dots() {
    let text = "[cdn-purge]\ndriver = 'http'\n[environment.\"prod.eu\".cdn-purge]\ndriver = 'bunny'\n[cdn-purge.channels.\"o.t\"]\nkind = 'x'\n";
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(FILE);
    let load = |text: &str, care| {
        std::fs::write(&file, text).expect("written");
        Settings::load("cdn-purge", SETTINGS, Some(&file), Some("prod.eu"), care)
    };
    let settings = load(text, Care::All).expect("read");
    assert_eq!(settings.value::<String>("driver").expect("set"), "bunny");
    let key = format!("channels.{}.kind", Settings::part(&settings.names("channels")[0]));
    assert_eq!(settings.value::<String>(&key).expect("set"), "x");
    let wrong = load(&text.replace("'bunny'", "5"), Care::All).expect_err("refused");
    assert!(wrong.message.contains(":4: [environment.prod.eu.cdn-purge] driver"), "{}", wrong.message);
}

#[test]
fn what_another_environment_has_wrong_holds_nobody_up_but_who_asks_for_all() {
    let text = "[environment.production]\n[environment.staging.cdn-purge]\nsettle = 5\n";
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(FILE);
    std::fs::write(&file, text).expect("written");
    let load = |environment, care| Settings::load("cdn-purge", SETTINGS, Some(&file), environment, care);
    assert!(load(Some("production"), Care::Environment).is_ok());
    assert!(load(Some("staging"), Care::Environment).is_err());
    assert!(load(Some("production"), Care::All).is_err());
    let lenient = load(Some("staging"), Care::Lenient).expect("put up with");
    assert!(lenient.trouble().is_none() && lenient.value::<std::time::Duration>("settle").is_err());
    std::fs::write(&file, "[cdn-purge]\nsettel = '5s'\n[environment.production]\n").expect("written");
    let lenient = load(Some("production"), Care::Lenient).expect("put up with");
    assert!(lenient.trouble().is_some_and(|why| why.message.contains("did you mean `settle`?")));
}
