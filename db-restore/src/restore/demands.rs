//! What a snapshot needs of the server it is restored into: roles, extensions, tablespaces. Read from the SQL that
//! pg_restore would run for its schema. Pure.

use std::collections::BTreeSet;

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
}

impl Demands {
    /// Takes in one line of SQL.
    pub fn line(&mut self, line: &str) {
        let Some(statement) = line.trim_end().strip_suffix(';') else { return self.policy(line) };
        if let Some(rest) = statement.strip_prefix("CREATE EXTENSION IF NOT EXISTS ") {
            self.extensions.extend(idents(rest).into_iter().take(1));
        } else if let Some(rest) = statement.strip_prefix("SET default_tablespace = ") {
            let name = rest.trim_matches('\'').trim_matches('"');
            self.tablespaces.extend((!name.is_empty()).then(|| name.to_owned()));
        } else if statement.starts_with("GRANT ") {
            self.rights = true;
            self.after(statement, " TO ");
        } else if statement.starts_with("REVOKE ") {
            self.rights = true;
            self.after(statement, " FROM ");
        } else if statement.starts_with("ALTER DEFAULT PRIVILEGES FOR ROLE ") {
            self.after(statement, " FOR ROLE ");
            self.after(statement, " TO ");
        } else if statement.starts_with("ALTER ") {
            self.after(statement, " OWNER TO ");
        }
        self.policy(statement);
    }

    fn policy(&mut self, line: &str) {
        if line.starts_with("CREATE POLICY ") {
            self.after(line, " TO ");
        }
    }

    /// The roles after the last such word.
    fn after(&mut self, statement: &str, word: &str) {
        let Some((_, names)) = statement.rsplit_once(word) else { return };
        let roles = idents(names).into_iter().filter(|r| r != "PUBLIC");
        self.roles.extend(roles);
    }
}

/// A list of names, up to the first word that is not one.
fn idents(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => rest.split_at(rest.find([' ', ',', ';']).unwrap_or(rest.len())),
        };
        names.extend((!name.is_empty()).then(|| name.replace("\"\"", "\"")));
        match after.trim_start_matches('"').trim_start().strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => return names,
        }
    }
}

/// Up to the quote that is not doubled.
fn unquote(text: &str) -> (&str, &str) {
    let mut from = 0;
    while let Some(at) = text[from..].find('"').map(|at| from + at) {
        if !text[at + 1..].starts_with('"') {
            return text.split_at(at);
        }
        from = at + 2;
    }
    text.split_at(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_extensions_and_tablespaces_are_found() {
        let sql = r#"
ALTER TABLE public.products OWNER TO shop_owner;
ALTER FUNCTION public.f(text) OWNER TO "Odd "" one";
GRANT SELECT ON TABLE public.products TO anon;
GRANT ALL ON SCHEMA public TO authenticated WITH GRANT OPTION;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE admin IN SCHEMA public GRANT SELECT ON TABLES  TO reader;
CREATE POLICY p ON public.products TO seller, "Buyer 1" USING (true);
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
SET default_tablespace = fast;
SET default_tablespace = '';
ALTER TABLE ONLY public.products ADD CONSTRAINT x PRIMARY KEY (id);
    GRANT in a function body to nobody_at_all;
"#;
        let mut demands = Demands::default();
        sql.lines().for_each(|line| demands.line(line));
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
        let roles =
            ["shop_owner", "Odd \" one", "anon", "authenticated", "admin", "reader", "seller", "Buyer 1"];
        assert_eq!(demands.roles, set(&roles));
        assert_eq!(demands.extensions, set(&["pg_trgm", "uuid-ossp"]));
        assert_eq!(demands.tablespaces, set(&["fast"]));
        assert!(demands.rights);
    }
}
