//! The parser. Its grammar, as far as it goes beyond `key = value`, is that of libvirt's
//! `src/util/virconf.c`: `;` separates settings like the end of a line, a string has no escapes,
//! and a list may go over several lines and end with a comma.

use crate::{Element, Error, Problem, Scalar, Setting, Value};

/// Reads the whole text of a file. What comes of it is no larger than a multiple of the text, whose
/// size is for the caller to limit.
///
/// A key may stand there more than once; what that means is for the caller to say.
///
/// # Errors
/// The first thing that is not in the syntax.
pub fn parse(text: &str) -> Result<Vec<Setting<'_>>, Error> {
    let mut parser = Parser {
        rest: text,
        line: 1,
    };
    let mut settings = Vec::new();
    loop {
        parser.skip_blank_lines();
        match parser.peek() {
            None => return Ok(settings),
            Some('#') => parser.skip_comment(),
            Some(_) => settings.push(parser.setting()?),
        }
    }
}

const TRIPLE: &str = "\"\"\"";

struct Parser<'a> {
    rest: &'a str,
    /// The line on which `rest` begins.
    line: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Takes the longest beginning of which each character `belongs`.
    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    /// Takes so many bytes, of those that there are.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// Takes `prefix`, if it comes next.
    fn skip(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip_blanks(&mut self) {
        self.take_while(is_blank);
    }

    fn skip_blank_lines(&mut self) {
        self.take_while(|c| is_blank(c) || is_end_of_line(c));
    }

    fn skip_comment(&mut self) {
        self.take_while(|c| !is_end_of_line(c));
    }

    fn wrong<T>(&self, problem: Problem) -> Result<T, Error> {
        Err(Error {
            line: self.line,
            problem,
        })
    }

    fn setting(&mut self) -> Result<Setting<'a>, Error> {
        let line = self.line;
        if !self.rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return self.wrong(Problem::Name);
        }
        let key = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        self.skip_blanks();
        if !self.skip("=") {
            return self.wrong(Problem::Assignment);
        }
        self.skip_blanks();
        let value = self.value()?;
        self.separator()?;
        Ok(Setting { key, line, value })
    }

    /// What ends a setting: the end of the line, with or without a comment, or a semicolon.
    fn separator(&mut self) -> Result<(), Error> {
        self.skip_blanks();
        match self.peek() {
            None => Ok(()),
            Some('#') => {
                self.skip_comment();
                Ok(())
            }
            Some(c) if is_end_of_line(c) => Ok(()),
            Some(';') => {
                self.skip(";");
                Ok(())
            }
            Some(_) => self.wrong(Problem::Separator),
        }
    }

    fn value(&mut self) -> Result<Value<'a>, Error> {
        if self.rest.starts_with('[') {
            self.list().map(Value::List)
        } else {
            self.scalar().map(Value::One)
        }
    }

    fn list(&mut self) -> Result<Vec<Element<'a>>, Error> {
        let unclosed = Error {
            line: self.line,
            problem: Problem::OpenList,
        };
        self.skip("[");
        let mut elements = Vec::new();
        loop {
            self.skip_blank_lines();
            match self.peek() {
                None => return Err(unclosed),
                Some(']') => break,
                Some('[') => return self.wrong(Problem::Nested),
                Some('#') => return self.wrong(Problem::CommentInList),
                Some(_) => {}
            }
            let line = self.line;
            let value = self.scalar()?;
            elements.push(Element { line, value });
            self.skip_blank_lines();
            match self.peek() {
                None => return Err(unclosed),
                Some(']') => break,
                Some('#') => return self.wrong(Problem::CommentInList),
                Some(_) if self.skip(",") => {}
                Some(_) => return self.wrong(Problem::Comma),
            }
        }
        self.skip("]");
        Ok(elements)
    }

    fn scalar(&mut self) -> Result<Scalar<'a>, Error> {
        if self.rest.starts_with(TRIPLE) {
            self.text().map(Scalar::Text)
        } else if self.rest.starts_with('"') {
            self.string('"').map(Scalar::Text)
        } else if self.rest.starts_with('\'') {
            self.string('\'').map(Scalar::Text)
        } else if self
            .rest
            .starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+')
        {
            self.number().map(Scalar::Number)
        } else {
            self.wrong(Problem::Value)
        }
    }

    fn number(&mut self) -> Result<i64, Error> {
        let sign = if self.rest.starts_with('-') { "-" } else { "" };
        let _ = self.skip("-") || self.skip("+");
        let digits = self.take_while(|c| c.is_ascii_digit());
        if digits.is_empty() {
            return self.wrong(Problem::Digits);
        }
        match format!("{sign}{digits}").parse() {
            Ok(number) => Ok(number),
            Err(_) => self.wrong(Problem::Range),
        }
    }

    /// A string on one line.
    fn string(&mut self, quote: char) -> Result<&'a str, Error> {
        self.take(quote.len_utf8());
        let content = self.take_while(|c| c != quote && !is_end_of_line(c));
        if self.peek() != Some(quote) {
            return self.wrong(Problem::OpenString(quote));
        }
        self.take(quote.len_utf8());
        self.without_zero(content)
    }

    /// A string in triple quotes, which may have line ends and quotes in it.
    fn text(&mut self) -> Result<&'a str, Error> {
        let begin = self.line;
        self.skip(TRIPLE);
        let Some(end) = self.rest.find(TRIPLE) else {
            return Err(Error {
                line: begin,
                problem: Problem::OpenText,
            });
        };
        let content = self.take(end);
        self.skip(TRIPLE);
        self.without_zero(content)
    }

    fn without_zero(&self, content: &'a str) -> Result<&'a str, Error> {
        if content.contains('\0') {
            self.wrong(Problem::Zero)
        } else {
            Ok(content)
        }
    }
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn is_end_of_line(c: char) -> bool {
    c == '\n' || c == '\r'
}
