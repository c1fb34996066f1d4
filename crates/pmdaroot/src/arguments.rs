//! Cuts a command line into arguments: at white space, with quotes and backslashes as a shell has
//! them, and nothing else of a shell.

/// A quote that is opened and not closed, or a backslash with nothing behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the command line ends inside a quotation")]
pub(crate) struct OpenQuotation;

/// Cuts a command line.
pub(crate) fn split(line: &str) -> Result<Vec<String>, OpenQuotation> {
    let mut arguments = Vec::new();
    let mut argument: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\n' => arguments.extend(argument.take()),
            '\'' => {
                let text = argument.get_or_insert_default();
                loop {
                    match letters.next().ok_or(OpenQuotation)? {
                        '\'' => break,
                        letter => text.push(letter),
                    }
                }
            }
            '"' => {
                let text = argument.get_or_insert_default();
                loop {
                    match letters.next().ok_or(OpenQuotation)? {
                        '"' => break,
                        '\\' => match letters.next().ok_or(OpenQuotation)? {
                            letter @ ('"' | '\\' | '$' | '`') => text.push(letter),
                            letter => text.extend(['\\', letter]),
                        },
                        letter => text.push(letter),
                    }
                }
            }
            '\\' => {
                let letter = letters.next().ok_or(OpenQuotation)?;
                argument.get_or_insert_default().push(letter);
            }
            letter => argument.get_or_insert_default().push(letter),
        }
    }
    arguments.extend(argument);
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(line: &str) -> Vec<String> {
        split(line).unwrap()
    }

    #[test]
    fn white_space_separates_and_quotes_hold_together() {
        assert_eq!(cut("  a  -d 60\tb "), ["a", "-d", "60", "b"]);
        assert_eq!(
            cut(r#"a "b c" 'd "e"' f\ g"#),
            ["a", "b c", r#"d "e""#, "f g"]
        );
        assert_eq!(cut(r#"x"y"'z' "" "\"\\\n""#), ["xyz", "", r#""\\n"#]);
        assert!(cut(" \t").is_empty());
    }

    #[test]
    fn nothing_else_of_a_shell_is_understood() {
        let line = "a $HOME `b` *.c #d; e|f >g ~ !h";
        assert_eq!(cut(line), line.split(' ').collect::<Vec<_>>());
    }

    #[test]
    fn an_open_quotation_is_an_error() {
        for line in ["a 'b", "a \"b", "a \"b\\", "a \\"] {
            assert_eq!(split(line), Err(OpenQuotation), "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn words_without_quotes_are_cut_as_by_strtok(line in "[a-z0-9 /=.,:-]{0,40}") {
            let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
            proptest::prop_assert_eq!(cut(&line), words);
        }
    }
}
