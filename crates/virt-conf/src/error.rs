//! What can be wrong with the syntax of a file.

/// A text that is not in the syntax of libvirt's configuration files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Error {
    /// Where it is, from 1.
    pub line: usize,
    /// What it is.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A setting does not begin with a letter.
    #[error("expected the name of a setting")]
    Name,
    /// There is no `=` after a name.
    #[error("expected = after the name of the setting")]
    Assignment,
    /// Neither a number, a string nor a list.
    #[error("expected a number, a string in quotes, or a list in brackets")]
    Value,
    /// A sign without digits.
    #[error("expected digits after the sign")]
    Digits,
    /// A number beyond 64 bits.
    #[error("the number is too large")]
    Range,
    /// A string in `'` or `"` does not end on its line.
    #[error("the string does not end on its line: expected {0}")]
    OpenString(char),
    /// A string in `"""` does not end; the line is that of its beginning.
    #[error("the string that begins here does not end: expected \"\"\"")]
    OpenText,
    /// Two values of a list without `,` between them.
    #[error("expected , or ] in the list")]
    Comma,
    /// A list does not end; the line is that of its beginning.
    #[error("the list that begins here does not end: expected ]")]
    OpenList,
    /// `[` inside a list.
    #[error("a list cannot have a list in it")]
    Nested,
    /// `#` inside a list.
    #[error("a comment cannot stand inside a list")]
    CommentInList,
    /// Something else follows a value.
    #[error("expected the end of the line after the value")]
    Separator,
    /// A zero byte, with which libvirt's strings would end.
    #[error("there is a zero byte in the file")]
    Zero,
}
