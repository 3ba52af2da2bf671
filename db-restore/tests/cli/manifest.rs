//! No bit of a manifest can be another, and none of its words gives more than it may.

use crate::common::{BEFORE, Bench, ID, opened, reason, some};
use serde_json::{Value, json};
use testkit::snapshots::edit;

use super::claims::run;

#[test]
fn a_manifest_gives_nothing_that_only_a_superuser_can() {
    let bench = Bench::start();
    bench.cluster.execute("postgres", "alter database shop set log_statement = 'ddl'");
    let (id, folder) = bench.snapshot(BEFORE);
    edit(&folder, |m| {
        let settings = m["properties"]["settings"].as_array_mut().expect("a list");
        for (name, value) in [
            ("session_preload_libraries", "/tmp/evil"),
            ("plperl.on_plperl_init", "evil()"),
            ("work_mem", "9MB"),
        ] {
            settings.push(json!({ "name": name, "value": value }));
        }
    });
    let (code, _, stderr) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert!(
        code == 0
            && stderr
                .contains("the setting session_preload_libraries is /tmp/evil: only a superuser can set it"),
        "{stderr}"
    );
    let settings = "select setconfig::text from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase where datname = 'shop'";
    assert_eq!(bench.cluster.value("postgres", settings), "{log_statement=ddl,work_mem=9MB}");
}

/// Why the only snapshot cannot be used.
fn problem(bench: &Bench) -> Option<String> {
    let (_, text, stderr) = bench.ask(&["--env", "production", "--json"]);
    let list: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}{stderr}"));
    list["snapshots"][0]["problem"].as_str().map(str::to_owned)
}

#[test]
fn no_bit_of_a_manifest_can_be_another_and_what_it_says_must_agree() {
    let bench = Bench::start();
    let (id, folder) = bench.snapshot(BEFORE);
    let path = folder.join("manifest.json");
    let good = std::fs::read(&path).expect("there");
    assert_eq!(problem(&bench), None);
    let places: Vec<usize> = (0..good.len()).collect();
    for &at in some(&places, 8) {
        let mut flipped = good.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&path, &flipped).expect("written");
        assert!(problem(&bench).is_some(), "bit {} of byte {at}", at % 8);
    }
    std::fs::write(&path, &good).expect("written");
    for (key, value, said) in [
        ("taken_at", json!("2026-01-01T00:00:00.000Z"), "its time and run say"),
        ("document", json!("shop-1.3.0-20261124T110000Z-0002"), "its time and run say"),
        ("finished_at", json!("2020-01-01T00:00:00Z"), "finished before it was begun"),
        ("log", json!({ "from": 9, "to": 3 }), "log went backwards"),
        ("schema", json!(3), "has the form 3"),
    ] {
        edit(&folder, |m| m[key] = value.clone());
        assert!(problem(&bench).expect(key).contains(said), "{key}: {:?}", problem(&bench));
        std::fs::write(&path, &good).expect("written");
    }
    std::fs::write(folder.join("dump/more.dat"), "x").expect("written");
    let (code, refused, _) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert_eq!((code, reason(&refused).0), (1, "corrupt"), "a file too many: {refused}");
}

#[test]
fn a_manifest_of_the_first_form_has_no_hash_and_says_so() {
    let bench = Bench::start();
    let (id, folder) = bench.snapshot(BEFORE);
    let path = folder.join("manifest.json");
    let mut old: Value = serde_json::from_slice(&std::fs::read(&path).expect("there")).expect("JSON");
    let fields = old.as_object_mut().expect("an object");
    ["sha256", "properties", "log", "extension_tables"].iter().for_each(|key| drop(fields.remove(*key)));
    fields.insert("schema".to_owned(), json!(1));
    std::fs::write(&path, old.to_string()).expect("written");
    let (_, text, _) = bench.ask(&["--env", "production"]);
    assert!(problem(&bench).is_none() && text.contains("made by db-restore 0.1"), "{text}");
    let (code, _, stderr) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert!(code == 0 && stderr.contains("does not hold the settings and rights"), "{stderr}");
}

#[test]
fn with_a_key_nobody_else_can_write_a_manifest() {
    let bench = Bench::start();
    let (_, folder) = bench.snapshot(BEFORE);
    testkit::write_private(&bench.folder.path().join("key"), "manifest-key-canary-0123456789");
    bench.set("manifest_key_file = \"key\"");
    assert!(problem(&bench).expect("unsigned").contains("not signed"));
    std::fs::remove_dir_all(&folder).expect("removed");
    let (_, folder) = bench.snapshot(&run(1));
    assert_eq!(problem(&bench), None);
    let (code, _, stderr) = bench.run(&["rehearse"], &opened(&run(2)));
    assert_eq!(code, 0, "{stderr}");
    edit(&folder, |m| m["environment"] = json!("production"));
    assert!(problem(&bench).expect("forged").contains("not signed"), "its hash is right");
    bench.reset("manifest_key_file = \"key\"", "");
    assert_eq!(problem(&bench), None, "without the key only the hash counts");
}
