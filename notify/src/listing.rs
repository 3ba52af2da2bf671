//! Numbers and names as people say them.

/// `1 message`, `3 messages`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Names for a sentence; of more than five, the first four and how many more there are.
pub fn named(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    if names.len() <= 5 {
        return names.join(", ");
    }
    format!("{} and {} more", names[..4].join(", "), names.len() - 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_counts_are_said_as_people_say_them() {
        assert_eq!(
            (counted(1, "message", "messages").as_str(), counted(0, "message", "messages").as_str()),
            ("1 message", "0 messages")
        );
        assert_eq!(named(&["a", "b"]), "a, b");
        let many: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
        assert_eq!(named(&many), "c0, c1, c2, c3 and 16 more");
    }
}
