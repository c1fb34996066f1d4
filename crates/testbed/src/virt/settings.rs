//! Configuration in libvirt's syntax: defaults of the testbed, and what a test says instead.

/// The lines of `defaults` whose keys `own` does not set, and then `own`.
pub(super) fn with_defaults(defaults: &str, own: &str) -> String {
    let mut text = String::new();
    for line in defaults.lines() {
        if !own.lines().any(|other| key(other) == key(line)) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text + own + "\n"
}

/// What stands before the `=`; lines inside of lists and comments have their own text for it.
fn key(line: &str) -> &str {
    line.split('=').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_test_sets_takes_the_place_of_a_default() {
        let text = with_defaults("a = 1\nb = 2\n", "b=3");
        assert_eq!(text, "a = 1\nb=3\n");
    }
}
