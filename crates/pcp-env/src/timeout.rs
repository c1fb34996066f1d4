//! Timeouts as users set them: seconds, with a fraction if they like.

use std::time::Duration;

use crate::conf::Environment;

/// How long a connection to pmcd may take unless `PMCD_CONNECT_TIMEOUT` says otherwise.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long pmcd may take to answer unless `PMCD_REQUEST_TIMEOUT` says otherwise (PCPIntro(1)).
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest timeout that is taken; more is a mistake.
const LONGEST: f64 = 86_400.0;

/// Why a timeout could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}={value:?} is not a number of seconds above 0 and up to 86400")]
pub struct TimeoutError {
    variable: &'static str,
    value: String,
}

/// The time that a connection to pmcd may take, from `PMCD_CONNECT_TIMEOUT`.
///
/// # Errors
/// [`TimeoutError`] when the variable is set to something else than seconds.
pub fn connect_timeout(environment: &Environment) -> Result<Duration, TimeoutError> {
    timeout(environment, "PMCD_CONNECT_TIMEOUT", CONNECT_TIMEOUT)
}

/// The time that pmcd may take to answer, from `PMCD_REQUEST_TIMEOUT`.
///
/// # Errors
/// [`TimeoutError`] when the variable is set to something else than seconds.
pub fn request_timeout(environment: &Environment) -> Result<Duration, TimeoutError> {
    timeout(environment, "PMCD_REQUEST_TIMEOUT", REQUEST_TIMEOUT)
}

fn timeout(
    environment: &Environment,
    variable: &'static str,
    usual: Duration,
) -> Result<Duration, TimeoutError> {
    environment
        .get(variable)
        .map_or(Ok(usual), |value| parse_timeout(variable, &value))
}

/// Reads a timeout, which is what `variable` is set to.
///
/// # Errors
/// [`TimeoutError`] when it is something else than seconds above 0 and up to 86,400.
pub fn parse_timeout(variable: &'static str, value: &str) -> Result<Duration, TimeoutError> {
    match value.trim().parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= LONGEST => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(TimeoutError {
            variable,
            value: value.chars().take(40).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn connect(value: &str) -> Result<Duration, TimeoutError> {
        let variables = BTreeMap::from([("PMCD_CONNECT_TIMEOUT".into(), value.into())]);
        connect_timeout(&Environment::from_variables(variables).unwrap())
    }

    #[test]
    fn seconds_may_have_a_fraction() {
        assert_eq!(connect("2.5"), Ok(Duration::from_millis(2500)));
        assert_eq!(connect("10"), Ok(Duration::from_secs(10)));
        assert_eq!(connect(""), Ok(CONNECT_TIMEOUT));
        let variables = BTreeMap::from([("PMCD_REQUEST_TIMEOUT".into(), "7".into())]);
        let environment = Environment::from_variables(variables).unwrap();
        assert_eq!(request_timeout(&environment), Ok(Duration::from_secs(7)));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["0", "-1", "inf", "NaN", "soon", "1e9"] {
            assert!(connect(bad).is_err(), "{bad}");
        }
    }
}
