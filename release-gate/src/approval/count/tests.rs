//! A true approval counts, and no forgery of it: a thousand of them, made of one another.

use super::super::statement::Migrations;
use super::*;

const QA: &str = "budi@luxima.example";
const LEAD: &str = "sari@luxima.example";
const RELEASER: &str = "rina@luxima.example";
const AUTHOR: &str = "dewi@luxima.example";

fn now() -> Timestamp {
    "2026-11-28T10:00:00Z".parse().expect("an instant")
}

fn shipped() -> Shipped {
    Shipped {
        product: "shop".into(),
        environment: "production".into(),
        version: "1.2.0".into(),
        tag: "v1.2.0-rc2".into(),
        tree: "ab".repeat(20),
        images: vec!["registry.example/shop@sha256:aa".into()],
        migrations: Migrations { class: "expand".into(), files: vec!["db/migrations/1.sql".into()] },
    }
}

fn approval(by: &str, role: &str, id: &str) -> Statement {
    Statement {
        schema: SCHEMA,
        kind: Kind::Approve,
        id: id.into(),
        role: Some(role.into()),
        by: by.into(),
        at: now() - SignedDuration::from_hours(2),
        reason: None,
        of: None,
        shipped: Some(shipped()),
    }
}

/// A statement and the key that has signed it; `None`: nobody whom it names.
type Signed = (Statement, Option<&'static str>);

fn honest() -> Vec<Signed> {
    vec![(approval(QA, "qa", "1"), Some("key of budi")), (approval(LEAD, "lead", "2"), Some("key of sari"))]
}

fn asked(shipped: &Shipped) -> Asked<'_> {
    let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    Asked {
        shipped,
        needs: BTreeMap::from([("qa".into(), 1), ("lead".into(), 1)]),
        roles: BTreeMap::from([
            ("qa".into(), names(&[QA, RELEASER, AUTHOR])),
            ("lead".into(), names(&[LEAD, QA, RELEASER, AUTHOR])),
        ]),
        valid: Duration::from_secs(7 * 24 * 3600),
        out: Outsiders {
            releaser: Some(RELEASER.into()),
            key: Some("key of rina".into()),
            author: Some(AUTHOR.into()),
            ..Outsiders::default()
        },
        now: now(),
    }
}

fn counted(asked: &Asked, all: &[Signed]) -> Verdict {
    let statements: Vec<Statement> = all.iter().map(|(statement, _)| statement.clone()).collect();
    let key = |n: usize| Ok(all[n].1.map(str::to_owned));
    count(asked, &statements, &key).expect("counted").verdict
}

fn of(all: &[Signed]) -> Verdict {
    let shipped = shipped();
    counted(&asked(&shipped), all)
}

type Forgery = (&'static str, fn(&mut Vec<Signed>));

/// What is done to an honest set, each of which must make it none.
const FORGERIES: [Forgery; 21] = [
    ("unsigned", |all| all[0].1 = None),
    ("both unsigned", |all| all.iter_mut().for_each(|one| one.1 = None)),
    ("one is missing", |all| all.truncate(1)),
    ("another tree", |all| change(all, |shipped| shipped.tree = "cd".repeat(20))),
    ("another candidate of the same tree", |all| change(all, |shipped| shipped.tag = "v1.2.0-rc1".into())),
    ("another version", |all| change(all, |shipped| shipped.version = "1.3.0".into())),
    ("another environment", |all| change(all, |shipped| shipped.environment = "staging".into())),
    ("another product", |all| change(all, |shipped| shipped.product = "shop2".into())),
    ("another image", |all| {
        change(all, |shipped| shipped.images = vec!["registry.example/shop@sha256:bb".into()]);
    }),
    ("no image", |all| change(all, |shipped| shipped.images.clear())),
    ("one migration less", |all| change(all, |shipped| shipped.migrations.files.clear())),
    ("a milder class", |all| change(all, |shipped| shipped.migrations.class = "none".into())),
    ("of nothing", |all| all[0].0.shipped = None),
    ("too old", |all| all[1].0.at = now() - SignedDuration::from_hours(24 * 7 + 1)),
    ("of a time to come", |all| all[1].0.at = now() + SignedDuration::from_hours(1)),
    ("a role that the person does not have", |all| all[1].0.by = "joko@luxima.example".into()),
    ("a role that nobody has", |all| all[0].0.role = Some("boss".into())),
    ("the releaser", |all| {
        all[0].0.by = RELEASER.into();
        all[0].1 = Some("key of rina");
    }),
    ("the releaser's key under another name", |all| all[0].1 = Some("key of rina")),
    ("the author", |all| all[0].0.by = AUTHOR.into()),
    ("one person in both roles", |all| {
        all[1].0.by = QA.into();
        all[1].1 = Some("another key of budi");
    }),
];

fn change(all: &mut [Signed], how: fn(&mut Shipped)) {
    all.iter_mut().for_each(|one| one.0.shipped.iter_mut().for_each(how));
}

/// What is put behind it, each of which must make it none.
fn later(which: usize) -> Signed {
    let base = |kind, by: &str| Statement { kind, role: None, id: "9".into(), ..approval(by, "", "9") };
    match which {
        0 => (
            Statement {
                reason: Some("the cart is empty".into()),
                ..base(Kind::Reject, "joko@luxima.example")
            },
            Some("key of joko"),
        ),
        1 => {
            (Statement { of: Some("1".into()), shipped: None, ..base(Kind::Revoke, QA) }, Some("key of budi"))
        }
        _ => {
            let other_tag = Shipped { tag: "v1.2.0-rc3".into(), ..shipped() };
            let reject =
                Statement { reason: Some("no".into()), shipped: Some(other_tag), ..base(Kind::Reject, LEAD) };
            (reject, Some("key of sari"))
        }
    }
}

#[test]
fn two_people_in_their_roles_are_enough() {
    assert!(of(&honest()).is_yes());
    let mut turned = honest();
    turned.reverse();
    assert!(of(&turned).is_yes());
    // Whoever has both roles takes the one that nobody else has.
    let both =
        [(approval(QA, "lead", "1"), Some("key of budi")), (approval(QA, "qa", "3"), Some("key of budi"))];
    let both: Vec<Signed> =
        both.into_iter().chain([(approval(LEAD, "lead", "2"), Some("key of sari"))]).collect();
    assert!(of(&both).is_yes());
}

#[test]
fn each_forgery_alone_is_found_out() {
    for (what, forge) in FORGERIES {
        let mut all = honest();
        forge(&mut all);
        assert!(!of(&all).is_yes(), "{what}");
    }
    for which in 0..3 {
        let all: Vec<Signed> = honest().into_iter().chain([later(which)]).collect();
        assert!(!of(&all).is_yes(), "{:?}", all[2]);
    }
}

#[test]
fn a_thousand_forgeries_made_of_one_another_are_found_out() {
    // A generator of its own, so that the same thousand come each time.
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("small") % below
    };
    for round in 0..1000 {
        let mut all = honest();
        let mut done = Vec::new();
        for _ in 0..=next(3) {
            let (what, forge) = FORGERIES[next(FORGERIES.len())];
            // One that is cut off already has nothing left to forge.
            if all.len() == 2 {
                forge(&mut all);
                done.push(what);
            }
        }
        if next(4) == 0 {
            all.push(later(next(3)));
        }
        // The same once more is not more.
        let copies = all.clone();
        (0..next(3)).for_each(|_| all.extend(copies.clone()));
        assert!(!of(&all).is_yes(), "{round}: {done:?}");
    }
}

#[test]
fn what_others_say_does_not_take_away_an_approval() {
    let with = |statement: Statement, key: Option<&'static str>| {
        let all: Vec<Signed> = honest().into_iter().chain([(statement, key)]).collect();
        of(&all).is_yes()
    };
    let revoke = |by: &str| Statement {
        kind: Kind::Revoke,
        of: Some("1".into()),
        shipped: None,
        role: None,
        ..approval(by, "", "9")
    };
    assert!(with(revoke(LEAD), Some("key of sari")), "only the one who gave it takes it back");
    assert!(with(revoke(QA), None), "unsigned");
    // Wherever it stands in the chain it takes back.
    let first = [(revoke(QA), Some("key of budi"))].into_iter().chain(honest()).collect::<Vec<Signed>>();
    assert!(!of(&first).is_yes());
    let reject = Statement { kind: Kind::Reject, role: None, ..approval("joko@luxima.example", "", "9") };
    assert!(with(reject.clone(), None), "an unsigned rejection would stop everybody");
    let of_another = Shipped { tree: "cd".repeat(20), tag: "v1.2.0-rc1".into(), ..shipped() };
    assert!(
        with(Statement { shipped: Some(of_another), ..reject }, Some("key of joko")),
        "of another candidate"
    );
}

#[test]
fn who_releases_must_be_proven_unless_settings_accept_a_claim() {
    let shipped = shipped();
    let mut asked = asked(&shipped);
    asked.out.key = None;
    let verdict = counted(&asked, &honest());
    assert!(matches!(&verdict, Verdict::Unknown(why) if why.contains("claimed, not proven")), "{verdict:?}");
    asked.out.claimed_counts = true;
    assert!(counted(&asked, &honest()).is_yes());
    asked.out =
        Outsiders { releaser_may: true, author_may: true, releaser: Some(QA.into()), ..Outsiders::default() };
    assert!(counted(&asked, &honest()).is_yes(), "the team says that they may");
}

#[test]
fn a_fix_needs_one_person_with_a_role() {
    let shipped = shipped();
    let asked = Asked { needs: BTreeMap::from([(ANYBODY.into(), 1)]), ..asked(&shipped) };
    assert!(counted(&asked, &honest()[..1]).is_yes());
    assert!(!counted(&asked, &[]).is_yes());
    let none = Asked { needs: BTreeMap::new(), ..asked };
    assert!(!counted(&none, &honest()).is_yes(), "nothing that is asked for is no yes");
}
