//! What a file may hold is declared once. The schema for editors, made of it, says the same of a file as the program does, whatever the file
//! has become; and the pages are what the programs say.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Map, Value, json};
use step::Exit;

/// A table of `release.toml`, in its order.
type Table = Map<String, Value>;

/// Values that people could write, and some that nobody would. `null` stands for what JSON has no word for.
const POOL: &str = r#"[
    "", " ", "soon", "90s", "1h 30m", "1h30m", "30m 1h", "1 h", "7d", "1234567890s", "5", "true", "http", "plain", "strict", "verify-full",
    "pages", "telegram", "production", "200GB", "0GB", "99999999TB", "unchecked", "12 MB", "abcdefghijklmnopqrst",
    "https://shop.example/", "http://10.0.0.7:6081", "https://u:p@x.example", "https://x.example/?a=b", "https://", "ftp://x.example",
    "https://x y", "html:data-x", "html:", "X-Release", "a b", "a:b", "g0sk4w8kc8s0o4ggcwk0c4k8", "\u00e4\u202ex", "a\tb", "\u00a0",
    "'\"\\", "{version}", 0, 1, -1, 9, 10, 99, 100, 503, 600, 65535, 65536, 9223372036854775807, 0.0, 0.5, 1.0, 2.0, 1.5, -0.5, 1e300,
    null, true, false, [], ["90s"], ["gzip", "br"], [200, 404], ["a", 1], [["a"]], {}, { "a": "b" }, { "kind": "telegram" }
]"#;

/// Numbers that look like chance and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("small")
    }
}

/// A file in which everything that this program knows is set, in its own table and in an environment's.
fn whole(program: &str, schema: &Value) -> Table {
    let own = filled(&schema["$defs"][program]);
    let mut environment = filled(&schema["properties"]["environment"]["additionalProperties"]);
    environment.insert(program.to_owned(), Value::Object(own.clone()));
    let mut file = Table::new();
    file.insert("product".into(), Value::Object(filled(&schema["properties"]["product"])));
    file.insert(program.to_owned(), Value::Object(own));
    file.insert("environment".into(), json!({ "production": environment, "staging": {} }));
    file.insert("notify".into(), json!({ "lang": "en" }));
    file
}

/// The examples, else the defaults, of a table.
fn filled(schema: &Value) -> Table {
    let mut table = Table::new();
    for (key, one) in schema["properties"].as_object().into_iter().flatten() {
        // Other programs' tables are theirs.
        if one.get("$ref").is_none() {
            table.insert(key.clone(), value(one));
        }
    }
    if schema["additionalProperties"].is_object() {
        table.insert("X-Any".into(), value(&schema["additionalProperties"]));
    }
    table
}

fn value(schema: &Value) -> Value {
    let given = schema["examples"].get(0).or(schema.get("default")).or(schema["enum"].get(0));
    match given {
        Some(value) => value.clone(),
        None if schema["type"] == "object" => Value::Object(filled(schema)),
        None if schema["minLength"] == 1 => json!("/etc/rilis/secret"),
        None => panic!("no example and no default: {schema}"),
    }
}

/// Changes one thing of a file, somewhere.
fn mutate(file: &mut Table, pool: &[Value], dice: &mut Dice) {
    let mut at = file;
    loop {
        let keys: Vec<String> = at.keys().cloned().collect();
        let Some(key) = (!keys.is_empty()).then(|| keys[dice.roll(keys.len())].clone()) else { break };
        let is_deep = at[&key].as_object().is_some_and(|inner| !inner.is_empty());
        if is_deep && dice.roll(8) > 0 {
            at = at[&key].as_object_mut().expect("a table");
            continue;
        }
        let some = pool[dice.roll(pool.len())].clone();
        match dice.roll(6) {
            0 => drop(at.remove(&key)),
            1 => {
                let value = at.remove(&key).expect("there");
                let cut: String = key.chars().skip(1).collect();
                at.insert(if dice.roll(2) == 0 { format!("{key}x") } else { cut }, value);
            }
            2 => drop(at.insert(["lang", "token", "kind", "A b", "product"][dice.roll(5)].to_owned(), some)),
            _ => drop(at.insert(key, some)),
        }
        return;
    }
    at.insert("driver".to_owned(), pool[dice.roll(pool.len())].clone());
}

/// The same as TOML: each table of the file on one line.
fn toml(file: &Table) -> String {
    file.iter().fold(String::new(), |mut text, (key, value)| {
        writeln!(text, "{} = {}", json!(key), inline(value)).expect("text");
        text
    })
}

fn inline(value: &Value) -> String {
    match value {
        Value::Null => "nan".into(),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(table) => {
            let entry = |(key, value): (&String, &Value)| format!("{} = {}", json!(key), inline(value));
            format!("{{ {} }}", table.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        // TOML has no 1e300 without a point, and JSON's strings are TOML's.
        Value::Number(number) if number.is_f64() => format!("{:?}", number.as_f64().expect("a number")),
        other => other.to_string(),
    }
}

fn ask(program: &str, file: &Path) -> Output {
    let mut command = Command::new(testkit::bin(program));
    command.args(["settings", "--config"]).arg(file).output().expect("started")
}

#[test]
fn the_schema_and_the_program_say_the_same_of_whatever_a_file_has_become() {
    let mutations: usize = std::env::var("MUTATIONS").map_or(1500, |n| n.parse().expect("a number"));
    let programs: Vec<&str> = testkit::programs().collect();
    let each = mutations.div_ceil(programs.len());
    let check = |program: &str| {
        let schema = testkit::settings::schema(program);
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let (whole, pool) =
            (whole(program, &schema), serde_json::from_str::<Vec<Value>>(POOL).expect("JSON"));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("release.toml");
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ program.len() as u64);
        let (mut good, mut bad) = (0, 0);
        for round in 0..each {
            let mut file = whole.clone();
            (0..round.min(1 + dice.roll(3))).for_each(|_| mutate(&mut file, &pool, &mut dice));
            let text = toml(&file);
            std::fs::write(&path, &text).expect("written");
            let output = ask(program, &path);
            let said = String::from_utf8_lossy(&output.stderr);
            let faults: Vec<String> = validator
                .iter_errors(&Value::Object(file))
                .map(|e| format!("{}: {e}", e.instance_path()))
                .collect();
            let code = output.status.code();
            assert!(
                code == Some(0) || code == Some(Exit::Config as i32),
                "{program} {code:?}: {said}\n{text}"
            );
            assert_eq!(code == Some(0), faults.is_empty(), "{program}: {said}\n{faults:#?}\n{text}");
            *(if code == Some(0) { &mut good } else { &mut bad }) += 1;
        }
        // Otherwise it is no comparison.
        assert!(good * 20 > each && bad * 4 > each, "{program}: {good} fit, {bad} do not");
    };
    std::thread::scope(|scope| {
        let half = programs.len() / 2;
        for part in [&programs[..half], &programs[half..]] {
            scope.spawn(move || part.iter().for_each(|program| check(program)));
        }
    });
}

#[test]
fn the_pages_of_the_settings_are_what_the_programs_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (path, text) in testkit::settings::pages(&root) {
        let there = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
        assert!(there == text, "{} is not up to date: make settings", path.display());
    }
    let schema = testkit::settings::merged();
    assert!(jsonschema::meta::is_valid(&schema));
}

#[test]
fn a_wrong_value_is_marked_and_what_may_be_a_secret_is_not_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("release.toml");
    let said = |program: &str, text: &str| {
        std::fs::write(&path, text).expect("written");
        let output = ask(program, &path);
        assert_eq!(output.status.code(), Some(Exit::Config as i32), "{text}");
        String::from_utf8(output.stderr).expect("text").replace(&path.display().to_string(), "release.toml")
    };
    assert_eq!(
        said("cdn-purge", "[cdn-purge]\nsettle = \"soon\"\n"),
        "cdn-purge: release.toml:2: [cdn-purge] settle: `soon` is not a length of time; write for example 90s, 10m or 1h\n\
         cdn-purge:   2 | settle = \"soon\"\n\
         cdn-purge:     |          ^^^^^^\n"
    );
    assert_eq!(
        said("cdn-purge", "[cdn-purge]\nexpect = [200,\n  4]\n"),
        "cdn-purge: release.toml:3: [cdn-purge] expect: it must be a whole number from 100 to 599, without quotes\n\
         cdn-purge:   3 | 4\n\
         cdn-purge:     | ^\n"
    );
    for text in
        ["[cdn-purge]\ntoken = \"s3cr3t-of-ours\"\n", "cdn-purge = { rate = 2, token = 's3cr3t-of-ours' }"]
    {
        let said = said("cdn-purge", text);
        assert!(said.contains("unknown key `token` in [cdn-purge]; did you mean `token_file`?"), "{said}");
        assert!(said.contains(" | token = ...\n") && !said.contains("s3cr3t"), "{said}");
    }
    let address = said(
        "deploy-coolify",
        "[environment.a.deploy-coolify]\nurl = \"https://u:s3cr3t-of-ours@x.example\"\n",
    );
    assert!(address.contains("release.toml:2: ") && !address.contains("s3cr3t"), "{address}");
}

#[test]
fn each_setting_is_shown_with_where_it_comes_from_and_no_secret_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "[product]\nname = 'shop'\n[deploy-coolify]\nurl = 'https://c.example'\n[environment.production.deploy-coolify]\n\
                token_file = 'coolify.token'\nstall = '3m'\n";
    std::fs::write(folder.path().join("release.toml"), text).expect("written");
    std::fs::write(folder.path().join("coolify.token"), "never read").expect("written");
    let mut command = Command::new(testkit::bin("deploy-coolify"));
    command.current_dir(folder.path()).args(["settings", "--env", "production", "--json"]);
    command.env("RILIS_DEPLOY_COOLIFY_SOAK", "5m").env("REGISTRY_PASSWORD", "a-password-of-ours");
    let output = command.output().expect("started");
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(!said.contains("a-password-of-ours"), "{said}");
    let answer: Value = serde_json::from_str(&said).expect("JSON");
    let line = |key: &str| {
        let lines = answer["settings"].as_array().expect("lines");
        let line = lines.iter().find(|line| line["key"] == key).unwrap_or_else(|| panic!("{key}: {said}"));
        (line["value"].clone(), line["from"].as_str().expect("where").to_owned())
    };
    for (key, value, from) in [
        ("name", json!("shop"), "release.toml:2 [product]"),
        ("url", json!("https://c.example"), "release.toml:4 [deploy-coolify]"),
        ("token_file", json!("coolify.token"), "release.toml:6 [environment.production.deploy-coolify]"),
        ("stall", json!("3m"), "release.toml:7 [environment.production.deploy-coolify]"),
        ("soak", json!("5m"), "RILIS_DEPLOY_COOLIFY_SOAK"),
        ("interval", json!("3s"), "default"),
        ("registry_password_file", json!("(a secret)"), "REGISTRY_PASSWORD"),
        ("coolify_tag", Value::Null, "not set"),
    ] {
        assert_eq!(line(key), (value, from.to_owned()), "{key}");
    }
}

/// A failed run must be told, whatever a slip in a setting that has nothing to do with it: only what is no TOML cannot be read past.
#[test]
fn a_wrong_setting_does_not_silence_a_failure() {
    let failed = json!({ "schema": 1, "id": "shop-1.2.0-20261125T120000Z-7f3a", "procedure": "release", "mode": "apply",
        "opened": "2026-11-25T12:00:00Z", "steps": [], "facts": { "product": "shop", "environment": "production", "version": "1.2.0" },
        "failure": { "step": "tag-rc", "kind": "failed", "reason": "x", "code": 1, "acted": "no", "message": "no" } });
    let ntfy = testkit::http::Server::start(|_| {
        testkit::http::Reply::json(200, json!({ "id": "a", "event": "message" }))
    });
    let folder = tempfile::tempdir().expect("a folder");
    let good = format!(
        "[product]\nname = 'shop'\n[environment.production]\n[notify]\nchannel = 'a'\nfallback = 'b'\n[notify.channels.a]\nkind = 'ntfy'\nurl = '{0}'\n\
         topic = 'a'\n[notify.channels.b]\nkind = 'ntfy'\nurl = '{0}'\ntopic = 'b'\n",
        ntfy.url()
    );
    let slips = [
        ("name = 'shop'", "name = ['shop']"),
        ("name = 'shop'", "name = 'another'"),
        ("channel = 'a'", "channel = 5"),
        ("channel = 'a'", "channel = ['a', 5]"),
        ("channel = 'a'", "channel = []"),
        ("channel = 'a'", "chanel = 'a'"),
        ("channel = 'a'", "channel = 'a'\nbest_effort = 'x'"),
        ("channel = 'a'", "channel = 'a'\nlinks = 5"),
        ("channel = 'a'", "channel = 'a'\nlinks.\"G 1.2\" = 'https://x.example/'"),
        ("[notify]", "[tag-rcc]\n[notify]"),
        ("[notify]", "[environment.staging]\nrolee = 'x'\n[notify]"),
        ("[notify.channels.a]", "[notify.channels.c]\nkinds = 5\n[notify.channels.a]"),
        ("[product]\n", "tag-rc = 1\n[product]\n"),
    ];
    for (from, to) in slips {
        std::fs::write(folder.path().join("release.toml"), good.replace(from, to)).expect("written");
        let before = ntfy.log().len();
        let mut command = Command::new(testkit::bin("notify"));
        let state = folder.path().join("state");
        command.current_dir(folder.path()).env("RILIS_NOTIFY_STATE", &state).env("RILIS_FOO", "a stray one");
        let (_, told, stderr) = testkit::exchange(&mut command, Some(&failed));
        assert_eq!(told["failure"], failed["failure"], "{to}");
        assert!(ntfy.log().len() > before, "{to}: {told:#} {stderr}");
        std::fs::remove_dir_all(&state).expect("removed");
    }
}

#[test]
fn what_is_no_file_is_not_passed_over_and_nobody_waits_for_it_for_ever() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("release.toml"), "[product]\nname = 'parent'\n").expect("written");
    let child = folder.path().join("child");
    std::fs::create_dir_all(child.join("release.toml")).expect("a folder");
    let mut command = Command::new(testkit::bin("tag-rc"));
    let output = command.arg("settings").current_dir(&child).output().expect("started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(78) && said.contains("release.toml cannot be read"), "{said}");
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let mut command = Command::new(testkit::bin("tag-rc"));
    command.args(["settings", "--timeout", "1s", "--config"]).arg(&pipe);
    assert_eq!(command.output().expect("ended").status.code(), Some(75));
    // A secret in the place of its file's name is not shown.
    let text = "[deploy-coolify]\ntoken_file = 'correct-horse-battery'\nurl = 'https://c.example'\napplications = 'a'\n[environment.production]\n";
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, text).expect("written");
    let by_variable = folder.path().join("without.toml");
    std::fs::write(&by_variable, text.replace("token_file = 'correct-horse-battery'\n", ""))
        .expect("written");
    for args in [&["settings"][..], &["--check", "--env", "production"], &["status", "--env", "production"]] {
        for (file, variable) in [(&file, None), (&by_variable, Some("correct/horse/battery"))] {
            let mut command = Command::new(testkit::bin("deploy-coolify"));
            command
                .args(args)
                .arg("--config")
                .arg(file)
                .envs(variable.map(|text| ("COOLIFY_TOKEN_FILE", text)));
            let output = command.output().expect("started");
            let (stdout, stderr) = (output.stdout.as_slice(), output.stderr.as_slice());
            let said = format!("{}{}", String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr));
            assert!(said.contains("there is no such file") && !said.contains("horse"), "{args:?}: {said}");
        }
    }
}
