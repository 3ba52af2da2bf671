//! Which lines of a log say why a deployment ended as it did. Pure.

use std::collections::BTreeSet;

/// How many lines are told at most.
const MOST: usize = 10;
/// A line that is longer is cut in its middle, in characters: messages to people show lines of 300.
const WIDE: usize = 280;
/// How much of its end is kept.
const END: usize = 120;

/// How a line begins that tells a cause; of each only the last one counts.
const SIGNS: &[&str] = &[
    "Deployment failed: ",
    "Error: ",
    "ERROR: ",
    "Attempt ",
    "Healthcheck logs: ",
    "New container is ",
    "Server is not functional",
    "Deployment cancelled",
    "Deployment was cancelled",
];

/// How a line begins that every deployment has, however it ends.
const USUAL: &[&str] = &[
    "Gracefully shutting down build container",
    "Rolling update completed.",
    "Rolling update started.",
    "Removing old containers.",
    "Preparing container with helper image",
    "Deployment failed. Removing the new version",
    "Error stopping container",
    "Warning: Failed to write deployment configurations",
];

/// The lines that tell it, in their order.
pub(super) fn lines(all: &[String]) -> Vec<String> {
    let told: Vec<&String> = all.iter().filter(|line| !is_rule(line) && !is_usual(line)).collect();
    let last = |sign: &&str| told.iter().rposition(|line| line.trim_start().starts_with(sign));
    let mut chosen: BTreeSet<usize> = SIGNS.iter().filter_map(last).collect();
    // What comes last is nearest to the cause.
    for at in (0..told.len()).rev() {
        if chosen.len() >= MOST {
            break;
        }
        chosen.insert(at);
    }
    chosen.into_iter().map(|at| cut(told[at])).collect()
}

/// A line of dashes between two parts.
fn is_rule(line: &str) -> bool {
    line.trim().chars().all(|c| "-=_*#~+".contains(c))
}

fn is_usual(line: &str) -> bool {
    let line = line.trim_start();
    USUAL.iter().any(|word| line.starts_with(word))
        || (line.starts_with("Docker ") && line.contains("BuildKit"))
}

/// A command may have a whole file in it: what it is and what came of it stand at its ends.
fn cut(line: &str) -> String {
    let length = line.chars().count();
    if length <= WIDE {
        return line.to_owned();
    }
    let begin: String = line.chars().take(WIDE - END - 5).collect();
    let end: String = line.chars().skip(length - END).collect();
    format!("{begin} ... {end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "----------------------------------------";

    fn of(text: &str) -> Vec<String> {
        lines(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    /// Holds the causes to be among the lines that are told.
    fn tells(log: &str, causes: &[&str]) {
        let told = of(log);
        assert!(told.len() <= MOST, "{told:#?}");
        assert!(told.iter().all(|line| !is_rule(line)), "{told:#?}");
        for cause in causes {
            assert!(told.iter().any(|line| line.contains(cause)), "{cause} in {told:#?}");
        }
    }

    const FAREWELL: &str = "====\nDeployment failed. Removing the new version of your application.\n\
         Gracefully shutting down build container: x";

    #[test]
    fn what_the_worker_says_of_a_failure_is_told() {
        tells(
            &format!(
                "Starting deployment of r.example/shop:1 to localhost.\n{RULE}\nRolling update started.\n\
                 Pulling latest images from the registry.\n====\n\
                 Deployment failed: Rolling update failed: Command execution failed (exit code 1): docker compose pull\n\
                 Error: Error response from daemon: manifest unknown\n{FAREWELL}"
            ),
            &["exit code 1", "manifest unknown"],
        );
        // A build that breaks after much output.
        let (layers, warnings) = ("layer\n".repeat(100), "npm warn\n".repeat(100));
        let failed = "Deployment failed: Command execution failed (exit code 1): docker exec build.sh";
        tells(
            &format!("{layers}{failed}\n{warnings}Error: npm run build exited with 1\n{FAREWELL}"),
            &["exit code 1", "npm run build exited"],
        );
        let away = "Server is not functional.";
        tells(
            &format!("{away}\n====\nDeployment failed: {away}\n===="),
            &["Deployment failed: Server is not"],
        );
    }

    #[test]
    fn an_end_that_nobody_calls_a_failure_is_told_too() {
        let crashes = "at Object.<anonymous>\n".repeat(100);
        tells(
            &format!(
                "Attempt 1 of 3 | Healthcheck status: \"starting\"\nAttempt 2 of 3 | Healthcheck status: \"unhealthy\"\n\
                 Healthcheck logs: curl: (7) refused | Return code: 1\nNew container is unhealthy.\n{RULE}\nContainer logs:\n\
                 {crashes}last words\n{RULE}\nRemoving old containers.\n{RULE}\n\
                 New container is not healthy, rolling back to the old container.\nRolling update completed.\n\
                 Gracefully shutting down build container: x"
            ),
            &["Attempt 2 of 3", "(7) refused", "rolling back to the old container", "last words"],
        );
        tells(
            "Deployment cancelled by user via API.\nWarning: Failed to write deployment configurations: x\n\
             Error stopping container x: Deployment cancelled by user",
            &["cancelled by user via API"],
        );
        assert!(of("").is_empty() && of(&format!("{RULE}\n====")).is_empty());
        assert_eq!(of("only this"), ["only this"]);
    }

    #[test]
    fn a_command_with_a_file_in_it_is_cut_in_the_middle() {
        let told = of(&format!(
            "Deployment failed: exit code 7: echo {} | base64 -d: no space left",
            "A".repeat(50_000)
        ));
        assert!(
            told[0].len() <= WIDE && told[0].contains("exit code 7") && told[0].ends_with("no space left")
        );
    }
}
