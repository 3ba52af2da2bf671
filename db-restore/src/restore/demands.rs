//! What a snapshot needs of the server it is restored into: roles, extensions, tablespaces. Read from the statements that
//! pg_restore would run for its schema. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::copy::script::Statement;
use crate::copy::words::{self, Word};

/// What must be there before a restore begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    pub roles: BTreeSet<String>,
    pub extensions: BTreeSet<String>,
    pub tablespaces: BTreeSet<String>,
    /// Whether it holds rights at all: `pg_dump --no-acl`, as Coolify calls it, leaves every GRANT out.
    pub rights: bool,
    /// Whether it is restored: a copy that is there already needs neither room nor connections.
    pub restored: bool,
    /// How much the database held, if the snapshot says so.
    pub bytes: Option<u64>,
    /// How much of that lay in tablespaces of its tables' own.
    pub spaces: BTreeMap<String, u64>,
}

impl Demands {
    /// Takes in one statement.
    pub fn statement(&mut self, statement: &Statement) {
        const VERBS: &[&str] = &["create", "set", "grant", "revoke", "alter"];
        if !statement.words.first().is_some_and(|verb| VERBS.contains(&verb.as_str())) {
            return;
        }
        let rights = statement.begins(&["grant"]) || statement.begins(&["revoke"]);
        let defaults = statement.begins(&["alter", "default", "privileges"]);
        self.rights |= rights;
        if statement.begins(&["create", "extension"]) {
            let words = words::of(&statement.text);
            let name =
                words.iter().skip(2).filter_map(Word::name).find(|w| !["if", "not", "exists"].contains(w));
            self.extensions.extend(name.map(str::to_owned));
        } else if statement.begins(&["set", "default_tablespace"]) {
            let words = words::of(&statement.text);
            let name = words.last().and_then(|word| match word {
                Word::Text(text) => Some(text.as_str()),
                other => other.name(),
            });
            self.tablespaces.extend(
                name.map(|name| name.trim_matches('"')).filter(|name| !name.is_empty()).map(str::to_owned),
            );
        } else if rights || defaults {
            let words = words::of(&statement.text);
            self.after(&words, &["for", "role"]);
            self.after(&words, &["to"]);
            self.after(&words, &["from"]);
        } else if statement.begins(&["create", "policy"]) {
            self.after(&words::of(&statement.text), &["to"]);
        } else if statement.begins(&["create", "user", "mapping"]) {
            self.after(&words::of(&statement.text), &["for"]);
        } else if statement.begins(&["alter"]) && statement.has("owner", "to") {
            self.after(&words::of(&statement.text), &["owner", "to"]);
        }
    }

    /// The roles after these keywords, a list.
    fn after(&mut self, words: &[Word], keywords: &[&str]) {
        let fits = |window: &[Word]| window.iter().zip(keywords).all(|(word, keyword)| word.is(keyword));
        let Some(at) = words.windows(keywords.len()).position(fits) else { return };
        for pair in words[at + keywords.len()..].chunks(2) {
            match &pair[0] {
                Word::Name(role) => drop(self.roles.insert(role.clone())),
                // What is not quoted and is no name of a role but stands for one.
                Word::Plain(word)
                    if ["public", "current_user", "session_user", "current_role", "user"]
                        .contains(&word.as_str()) => {}
                Word::Plain(role) => drop(self.roles.insert(role.clone())),
                _ => return,
            }
            if pair.get(1) != Some(&Word::Sign(',')) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::script::{Piece, Script};

    fn demanded(sql: &str) -> Demands {
        let mut demands = Demands::default();
        let mut script = Script::new(sql.as_bytes());
        while let Some(piece) = script.next().expect("read") {
            if let Piece::Statement(statement) = piece {
                demands.statement(&statement);
            }
        }
        demands
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn roles_extensions_and_tablespaces_are_found() {
        let demands = demanded(
            r#"
ALTER TABLE public.products OWNER TO shop_owner;
ALTER FUNCTION public.f(text) OWNER TO "Odd "" one";
GRANT SELECT ON TABLE public.products TO anon;
GRANT ALL ON SCHEMA public TO authenticated WITH GRANT OPTION;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE admin IN SCHEMA public GRANT SELECT ON TABLES  TO reader;
CREATE POLICY p ON public.products TO seller, "Buyer 1" USING (true);
CREATE POLICY q ON public.products FOR SELECT
    TO "TO", buyer
    USING ((name = 'x TO y'::text));
CREATE USER MAPPING FOR mapped SERVER s OPTIONS (
    "user" 'FOR x'
);
CREATE USER MAPPING FOR PUBLIC SERVER s;
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
SET default_tablespace = fast;
SET default_tablespace = '"Very fast"';
SET default_tablespace = '';
ALTER TABLE ONLY public.products ADD CONSTRAINT x PRIMARY KEY (id);
"#,
        );
        let roles = [
            "shop_owner",
            "Odd \" one",
            "anon",
            "authenticated",
            "admin",
            "reader",
            "seller",
            "Buyer 1",
            "TO",
            "buyer",
            "mapped",
        ];
        assert_eq!(demands.roles, set(&roles));
        assert_eq!(demands.extensions, set(&["pg_trgm", "uuid-ossp"]));
        assert_eq!(demands.tablespaces, set(&["fast", "Very fast"]));
        assert!(demands.rights);
    }

    #[test]
    fn texts_bodies_and_names_are_no_sql() {
        let demands = demanded(
            r#"
CREATE POLICY p ON public.orders FOR SELECT USING ((status = 'READY TO SHIP'::text));
COMMENT ON TABLE public.t IS 'How to open it:
GRANT SELECT ON t TO readonly_user;
';
CREATE FUNCTION public.f() RETURNS void LANGUAGE plpgsql AS $f$
begin
GRANT SELECT ON t TO tenant_reader;
ALTER TABLE t OWNER TO tenant_owner;
end $f$;
CREATE TABLE public."CREATE EXTENSION x; OWNER TO y" ("GRANT a TO b" text DEFAULT 'OWNER TO z'::text);
CREATE VIEW public.v AS SELECT 'FROM x' AS "OWNER TO";
CREATE FUNCTION public.g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;
ALTER TABLE public.t ALTER COLUMN a SET DEFAULT 'OWNER TO q';
"#,
        );
        assert_eq!(demands, Demands::default());
    }
}
