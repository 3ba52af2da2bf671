//! `branches`: the remote's branches held against the branching strategy. Which feature branches have arrived where, which
//! hotfixes are missing somewhere, and what main has that is not released.

use serde_json::{Value, json};
use step::{Answer, Context, Failure};

use crate::args::Strategy;
use crate::git::{Repo, matches};
use crate::remote::Remote;

/// How much of a branch has arrived in another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrived {
    /// Its commits are in the other's history.
    Merged,
    /// Its commits are not, but merging it would change nothing: it was squashed or picked.
    Squashed,
    No,
}

impl Arrived {
    fn word(self) -> &'static str {
        match self {
            Arrived::Merged => "merged",
            Arrived::Squashed => "squashed",
            Arrived::No => "no",
        }
    }
}

/// A branch (or the last final) and where it has arrived.
struct Row {
    name: String,
    arrived: Vec<(String, Arrived)>,
}

/// Asks the remote and judges.
pub fn answer(context: &Context, remote: &str) -> Result<Answer, Failure> {
    let strategy = Strategy::read(context)?;
    let (repo, git) = crate::here(context, remote)?;
    if repo.is_shallow() {
        let message = "the history here is cut off, so branches cannot be held against each other";
        return Err(Failure::refused("shallow", message).command([
            "git",
            "fetch",
            "--unshallow",
            git.remote(),
        ]));
    }
    let remote = git.look()?;
    let missing = missing(&repo, &remote);
    let _aside = if missing.is_empty() {
        None
    } else {
        let aside = git.fetch_aside(&repo.objects_folder(), &missing)?;
        repo.see(&aside)?;
        Some(aside)
    };
    let report = report(&repo, &remote, &strategy)?;
    let answer = Answer::new(report.text(), report.value());
    Ok(match report.problems.first() {
        Some((_, problem)) => answer.but(Failure::refused("strategy", problem.clone())),
        None => answer,
    })
}

fn missing(repo: &Repo, remote: &Remote) -> Vec<String> {
    let heads =
        remote.heads.iter().filter(|(_, tip)| !repo.objects.has(tip)).map(|(b, _)| format!("refs/heads/{b}"));
    let last = remote.last_final(None).filter(|(_, tag)| !repo.objects.has(&tag.commit));
    heads.chain(last.map(|(_, tag)| format!("refs/tags/{}", tag.name))).collect()
}

struct Report {
    features: Vec<Row>,
    hotfixes: Vec<Row>,
    last_final: Option<Row>,
    /// Commits of main that no final has.
    unreleased: Option<usize>,
    problems: Vec<(&'static str, String)>,
}

fn report(repo: &Repo, remote: &Remote, strategy: &Strategy) -> Result<Report, Failure> {
    let stations = [&strategy.develop, &strategy.staging, &strategy.main];
    let rows = |patterns: &[String]| {
        let mut rows = Vec::new();
        for (name, tip) in &remote.heads {
            if matches(patterns, name)? && !stations.contains(&name) {
                rows.push(row(repo, remote, &stations, name, tip)?);
            }
        }
        Ok::<_, Failure>(rows)
    };
    let last = remote.last_final(None);
    let last_final =
        last.as_ref().map(|(_, tag)| row(repo, remote, &stations, &tag.name, &tag.commit)).transpose()?;
    let main = remote.heads.get(&strategy.main);
    let unreleased = match (main, &last) {
        (Some(main), Some((_, tag))) => Some(repo.objects.ahead_behind(main, &tag.commit)?.0),
        _ => None,
    };
    let mut report = Report {
        features: rows(&strategy.features)?,
        hotfixes: rows(&strategy.hotfixes)?,
        last_final,
        unreleased,
        problems: Vec::new(),
    };
    report.judge(strategy, remote);
    Ok(report)
}

fn row(repo: &Repo, remote: &Remote, stations: &[&String], name: &str, tip: &str) -> Result<Row, Failure> {
    let mut arrived = Vec::new();
    for station in stations {
        if let Some(end) = remote.heads.get(*station) {
            let how = if repo.objects.is_ancestor(tip, end)? {
                Arrived::Merged
            } else if repo.objects.adds_nothing(tip, end)? {
                Arrived::Squashed
            } else {
                Arrived::No
            };
            arrived.push(((*station).clone(), how));
        }
    }
    Ok(Row { name: name.to_owned(), arrived })
}

impl Row {
    fn missing_in(&self) -> Vec<&str> {
        self.arrived.iter().filter(|(_, how)| *how == Arrived::No).map(|(to, _)| to.as_str()).collect()
    }

    fn is_in(&self, branch: &str) -> bool {
        self.arrived.iter().any(|(to, how)| to == branch && *how != Arrived::No)
    }

    fn value(&self) -> Value {
        let arrived: serde_json::Map<String, Value> =
            self.arrived.iter().map(|(to, how)| (to.clone(), json!(how.word()))).collect();
        json!({ "name": self.name, "arrived": arrived })
    }

    fn text(&self) -> String {
        let there = self.arrived.iter().filter(|(_, how)| *how != Arrived::No);
        let words: Vec<String> = there.map(|(to, how)| format!("{} in {to}", how.word())).collect();
        let words = if words.is_empty() { "nowhere yet".to_owned() } else { words.join(", ") };
        format!("  {:<28} {words}", self.name)
    }
}

impl Report {
    /// What goes to production is in main; what is in main is in staging and develop, or the next release loses it.
    fn judge(&mut self, strategy: &Strategy, remote: &Remote) {
        for branch in [&strategy.main, &strategy.staging, &strategy.develop] {
            if !remote.heads.contains_key(branch) {
                self.problems.push(("branch-missing", format!("the remote has no branch {branch}")));
            }
        }
        // A hotfix that is in main but not elsewhere is lost by the next release; one that is not in main yet is at work.
        for hotfix in self.hotfixes.iter().filter(|h| h.is_in(&strategy.main)) {
            let missing = hotfix.missing_in();
            if !missing.is_empty() {
                let text = format!(
                    "{} is in {}, but missing in {}",
                    hotfix.name,
                    strategy.main,
                    missing.join(" and ")
                );
                self.problems.push(("hotfix-missing", text));
            }
        }
        if let Some(last) = &self.last_final {
            let missing = last.missing_in();
            if !missing.is_empty() {
                let text = format!("{} is missing in {}", last.name, missing.join(" and "));
                self.problems.push(("last-final-missing", text));
            }
        }
        let skipping =
            |f: &&Row| f.is_in(&strategy.main) && !f.is_in(&strategy.develop) && !f.arrived.is_empty();
        for feature in self.features.iter().filter(skipping) {
            let text = format!("{} is in {} without {}", feature.name, strategy.main, strategy.develop);
            self.problems.push(("feature-skipped", text));
        }
    }

    fn text(&self) -> String {
        let mut lines = Vec::new();
        let mut section = |title: &str, rows: &[Row]| {
            if !rows.is_empty() {
                lines.push(format!("{title}:"));
                lines.extend(rows.iter().map(Row::text));
            }
        };
        section("last final", self.last_final.as_slice());
        section("hotfix branches", &self.hotfixes);
        section("feature branches", &self.features);
        lines.push(match self.unreleased {
            None => "nothing is released yet".to_owned(),
            Some(0) => "everything on main is released".to_owned(),
            Some(1) => "main has 1 commit that is not released".to_owned(),
            Some(n) => format!("main has {n} commits that are not released"),
        });
        lines.extend(self.problems.iter().map(|(_, problem)| format!("NOT AS IT SHOULD BE: {problem}")));
        lines.join("\n")
    }

    fn value(&self) -> Value {
        let rows = |rows: &[Row]| rows.iter().map(Row::value).collect::<Value>();
        let problems: Vec<Value> =
            self.problems.iter().map(|(code, message)| json!({ "code": code, "message": message })).collect();
        let mut value = json!({ "features": rows(&self.features), "hotfixes": rows(&self.hotfixes), "problems": problems });
        if let Some(last) = &self.last_final {
            value["last_final"] = last.value();
        }
        if let Some(unreleased) = self.unreleased {
            value["unreleased_commits"] = json!(unreleased);
        }
        value
    }
}
