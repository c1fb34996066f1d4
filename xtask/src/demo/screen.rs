//! Where the lines go: redrawn in place on a terminal, otherwise one after the other.

use std::io::{self, IsTerminal, Stdout, Write, stdout};

use rustix::termios::tcgetwinsize;

const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";

/// Standard output.
pub(super) struct Screen {
    stdout: Stdout,
    live: bool,
    /// Lines that the next drawing replaces.
    drawn: usize,
}

impl Screen {
    /// Redraws if standard output is a terminal that can.
    pub(super) fn of_stdout() -> Screen {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let mut screen = Screen::plain();
        screen.live = screen.stdout.is_terminal() && !is_dumb;
        screen
    }

    /// Prints one drawing after the other.
    pub(super) fn plain() -> Screen {
        Screen {
            stdout: stdout(),
            live: false,
            drawn: 0,
        }
    }

    /// Whether a drawing replaces the one before.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// Shows the lines.
    ///
    /// # Errors
    /// When nobody reads standard output any more.
    pub(super) fn show(&mut self, lines: &[String]) -> io::Result<()> {
        let text = if self.live {
            self.redrawing(lines)
        } else {
            lines.iter().flat_map(|line| [line, "\n"]).collect()
        };
        self.stdout.write_all(text.as_bytes())?;
        self.stdout.flush()
    }

    /// What puts the lines in the place of the last ones. They are cut to the window, since a line
    /// that wraps or scrolls could not be replaced.
    fn redrawing(&mut self, lines: &[String]) -> String {
        let (columns, rows) = self.window();
        let mut text = HIDE_CURSOR.to_owned();
        if self.drawn > 0 {
            text.push_str(&format!("\x1b[{}F\x1b[J", self.drawn));
        }
        let visible = lines.iter().take(rows.saturating_sub(1));
        self.drawn = visible.len();
        for line in visible {
            text.extend(line.chars().take(columns));
            text.push('\n');
        }
        text
    }

    /// Columns and rows, as a common terminal has them when this one does not tell.
    fn window(&self) -> (usize, usize) {
        match tcgetwinsize(&self.stdout) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                (size.ws_col.into(), size.ws_row.into())
            }
            _ => (80, 24),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.live {
            // There is nobody left to tell when it fails.
            let _ = self.stdout.write_all(SHOW_CURSOR.as_bytes());
            let _ = self.stdout.flush();
        }
    }
}
