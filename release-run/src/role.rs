//! What an environment is for, and which procedures go there.

use step::{Context, Failure, Procedure};

/// What an environment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Staging,
    Production,
}

/// Whether a procedure goes to this environment.
///
/// # Errors
/// `usage`, `role` when it does not; `config` when the settings do not say what the environment is for.
pub fn allows(context: &Context, procedure: &Procedure) -> Result<(), Failure> {
    let environment = context.environment()?;
    let role = role(environment, context.settings.shared("role")?.as_deref())?;
    judge(procedure, environment, role)
}

/// The setting; environments with the usual names need none.
fn role(environment: &str, said: Option<&str>) -> Result<Role, Failure> {
    match (said, environment) {
        (Some("staging"), _) | (None, "staging") => Ok(Role::Staging),
        (Some("production"), _) | (None, "production") => Ok(Role::Production),
        (Some(other), _) => {
            let message = format!(
                "[environment.{environment}] role is `{other}`: it must be \"staging\" or \"production\""
            );
            Err(Failure::config("role", message))
        }
        (None, _) => {
            let message = format!(
                "it is not said what {environment} is for: add  role = \"staging\"  or  role = \"production\"  to [environment.{environment}]"
            );
            Err(Failure::config("role", message))
        }
    }
}

fn judge(procedure: &Procedure, environment: &str, role: Role) -> Result<(), Failure> {
    let wanted = match procedure {
        Procedure::Candidate | Procedure::Rehearsal => Role::Staging,
        Procedure::Release | Procedure::Hotfix => Role::Production,
        _ => return Ok(()),
    };
    if role == wanted {
        return Ok(());
    }
    let message = match procedure {
        Procedure::Candidate => format!(
            "{environment} is for production: a candidate goes to staging, and customers get releases"
        ),
        Procedure::Rehearsal => {
            format!("nothing is rehearsed in production ({environment}): name another environment")
        }
        _ => format!(
            "{environment} is for staging: a {procedure} goes to production; test it with rilis-candidate"
        ),
    };
    Err(Failure::usage("role", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_procedures_go_to_an_environment() {
        for (procedure, role, fine) in [
            (Procedure::Candidate, Role::Staging, true),
            (Procedure::Candidate, Role::Production, false),
            (Procedure::Rehearsal, Role::Staging, true),
            (Procedure::Rehearsal, Role::Production, false),
            (Procedure::Release, Role::Staging, false),
            (Procedure::Release, Role::Production, true),
            (Procedure::Hotfix, Role::Staging, false),
            (Procedure::Hotfix, Role::Production, true),
            (Procedure::Rollback, Role::Staging, true),
            (Procedure::Rollback, Role::Production, true),
        ] {
            assert_eq!(judge(&procedure, "x", role).is_ok(), fine, "{procedure} {role:?}");
        }
    }

    #[test]
    fn an_environment_of_another_name_must_say_what_it_is_for() {
        assert_eq!(role("production", None).ok(), Some(Role::Production));
        assert_eq!(role("live", Some("production")).ok(), Some(Role::Production));
        assert_eq!(role("production", Some("staging")).ok(), Some(Role::Staging));
        let said = role("live", None).expect_err("not said");
        assert!(
            said.message.contains("role = \"production\"") && said.message.contains("[environment.live]"),
            "{}",
            said.message
        );
        assert!(role("live", Some("live")).is_err());
    }
}
