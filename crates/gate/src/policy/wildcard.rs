//! Names with `*` in them, and for some with `?`.

use std::fmt;

/// The longest name that a rule may hold, in characters: that of the domain name system.
pub(super) const MAX_NAME: usize = 255;

/// A name or a pattern of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wildcard {
    text: Box<str>,
    tokens: Box<[Token]>,
    folds_case: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    This(char),
    /// Any characters, or none; a dot only if `dots`.
    Any {
        dots: bool,
    },
    /// Any one character.
    One,
}

impl Wildcard {
    /// A pattern for names made of labels, like those of hosts: case does not matter, `*` stays
    /// within a label and `**` does not.
    pub(super) fn labels(text: &str) -> Wildcard {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            rest = &rest[next.len_utf8()..];
            match (next, rest.strip_prefix('*')) {
                ('*', Some(after)) => {
                    tokens.push(Token::Any { dots: true });
                    rest = after;
                }
                ('*', None) => tokens.push(Token::Any { dots: false }),
                _ => tokens.extend(next.to_lowercase().map(Token::This)),
            }
        }
        Wildcard {
            text: text.into(),
            tokens: tokens.into(),
            folds_case: true,
        }
    }

    /// A pattern for names without structure: case matters, `*` stands for anything.
    pub(super) fn whole(text: &str) -> Wildcard {
        let token = |c| match c {
            '*' => Token::Any { dots: true },
            _ => Token::This(c),
        };
        Wildcard {
            text: text.into(),
            tokens: text.chars().map(token).collect(),
            folds_case: false,
        }
    }

    /// A pattern as libvirt has them in its lists of who is allowed: case matters, `*` stands for
    /// anything, `?` for any one character, and every other character for itself
    /// (`g_pattern_match_simple` of GLib).
    pub fn glob(text: &str) -> Wildcard {
        let token = |c| match c {
            '*' => Token::Any { dots: true },
            '?' => Token::One,
            _ => Token::This(c),
        };
        Wildcard {
            text: text.into(),
            tokens: text.chars().map(token).collect(),
            folds_case: false,
        }
    }

    /// As it stands in the rule.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether `name` is one of those that are meant. Takes time in proportion to the product of
    /// both lengths, whatever they hold.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = if self.folds_case {
            name.chars().flat_map(char::to_lowercase).collect()
        } else {
            name.chars().collect()
        };
        // reached[n]: the tokens so far match the first n characters.
        let mut reached = vec![false; name.len() + 1];
        reached[0] = true;
        for token in &self.tokens {
            match *token {
                Token::This(wanted) => {
                    for end in (1..reached.len()).rev() {
                        reached[end] = reached[end - 1] && name[end - 1] == wanted;
                    }
                    reached[0] = false;
                }
                Token::One => {
                    reached.pop();
                    reached.insert(0, false);
                }
                Token::Any { dots } => {
                    for end in 1..reached.len() {
                        reached[end] |= reached[end - 1] && (dots || name[end - 1] != '.');
                    }
                }
            }
        }
        reached[name.len()]
    }
}

impl fmt::Display for Wildcard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_a_label_and_two_do_not() {
        let cases = [
            ("*.example", "a.example", true),
            ("*.example", "A.EXAMPLE", true),
            ("*.example", "example", false),
            ("*.example", "a.b.example", false),
            ("**.example", "a.b.example", true),
            ("**.example", "example", false),
            ("*.*.example", "a.b.example", true),
            ("node*.example", "node.example", true),
            ("node*-r?.example", "node7-r1.example", false),
            ("node*-r*.example", "node7-r1.example", true),
            ("node*.example", "node7.evil.example", false),
            ("a**z", "a.b.c.z", true),
            ("a**z*", "a.z.zz", true),
            ("*a*a*", "bbabb", false),
            ("B\u{fc}ro.example", "b\u{dc}ro.example", true),
            ("plain", "plain", true),
            ("plain", "plainer", false),
        ];
        for (pattern, name, wanted) in cases {
            let wildcard = Wildcard::labels(pattern);
            assert_eq!(wildcard.matches(name), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn names_without_structure_are_taken_as_they_are() {
        let wildcard = Wildcard::whole("*@EXAMPLE.COM");
        assert!(wildcard.matches("alice.smith@EXAMPLE.COM"));
        assert!(!wildcard.matches("alice@example.com"));
        assert!(Wildcard::whole("*").matches("any.thing"));
    }

    #[test]
    fn a_question_mark_of_a_glob_is_any_one_character_and_brackets_are_themselves() {
        let cases = [
            ("*CN=g??d", "C=GB,O=Gate,CN=good", true),
            ("*CN=g??d", "C=GB,O=Gate,CN=god", false),
            ("?", "", false),
            ("?", "\u{fc}", true),
            ("??", "\u{fc}", false),
            ("?*", "a", true),
            ("*?", "", false),
            ("*,CN=*", "O=a.b,CN=", true),
            ("CN=a", "CN=A", false),
            ("CN=[ab]", "CN=a", false),
            ("CN=[ab]", "CN=[ab]", true),
            (r"CN=\*", r"CN=\b", true),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, name, wanted) in cases {
            assert_eq!(
                Wildcard::glob(pattern).matches(name),
                wanted,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let wildcard = Wildcard::labels(&"*a".repeat(120));
        assert!(!wildcard.matches(&"a".repeat(119)));
        assert!(wildcard.matches(&"a".repeat(250)));
    }
}
