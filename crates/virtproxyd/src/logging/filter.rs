//! `log_filters`: other priorities for some categories.

use gate::policy::Wildcard;

use super::Priority;

/// More make every message slow.
const MOST: usize = 100;

/// What is wrong with a list of filters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterError {
    #[error("filter {0:?}: expected PRIORITY:MATCH, as in 1:session")]
    Form(String),
    #[error("filter {0:?}: the priority is 1 (debug), 2 (info), 3 (warning) or 4 (error)")]
    Priority(String),
    #[error("there are more than {MOST} filters")]
    TooMany,
}

/// Filters in their order: the first that matches counts.
#[derive(Debug, Default)]
pub(crate) struct Filters(Vec<Filter>);

#[derive(Debug)]
struct Filter {
    priority: Priority,
    /// As written.
    text: String,
    /// The same for any part of a category.
    pattern: Wildcard,
}

impl Filters {
    /// Reads filters with blanks between them.
    pub(crate) fn parse(text: &str) -> Result<Filters, FilterError> {
        let filters: Vec<Filter> = text
            .split_whitespace()
            .map(Filter::parse)
            .collect::<Result<_, _>>()?;
        if filters.len() > MOST {
            return Err(FilterError::TooMany);
        }
        Ok(Filters(filters))
    }

    /// The priority that messages of this category need, if a filter says it.
    pub(super) fn priority(&self, category: &str) -> Option<Priority> {
        let found = self
            .0
            .iter()
            .find(|filter| filter.pattern.matches(category));
        found.map(|filter| filter.priority)
    }

    /// The least priority of all.
    pub(super) fn least(&self) -> Option<Priority> {
        self.0.iter().map(|filter| filter.priority).min()
    }

    pub(super) fn describe(&self) -> String {
        let all: Vec<String> = self.0.iter().map(Filter::describe).collect();
        all.join(" ")
    }
}

impl Filter {
    fn parse(text: &str) -> Result<Filter, FilterError> {
        let form = || FilterError::Form(text.into());
        let (priority, matched) = text.split_once(':').ok_or_else(form)?;
        let priority = priority
            .parse()
            .ok()
            .and_then(Priority::from_number)
            .ok_or_else(|| FilterError::Priority(text.into()))?;
        // It once asked for a stack trace.
        let matched = matched.strip_prefix('+').unwrap_or(matched);
        if matched.is_empty() || matched.contains(':') {
            return Err(form());
        }
        Ok(Filter {
            priority,
            text: matched.into(),
            pattern: Wildcard::glob(&format!("*{matched}*")),
        })
    }

    fn describe(&self) -> String {
        format!("{}:{}", self.priority, self.text)
    }
}
