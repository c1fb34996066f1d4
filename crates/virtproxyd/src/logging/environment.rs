//! Variables that win over the configuration.

/// What the environment says about the log. What is empty is not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    /// `LIBVIRT_DEBUG`: a priority, by number or by name.
    pub(super) debug: Option<String>,
    /// `LIBVIRT_LOG_FILTERS`
    pub(super) filters: Option<String>,
    /// `LIBVIRT_LOG_OUTPUTS`
    pub(super) outputs: Option<String>,
}

impl Environment {
    /// That of this process.
    pub(super) fn of_process() -> Environment {
        let read = |name: &str| {
            let value = std::env::var_os(name)?;
            (!value.is_empty()).then(|| value.to_string_lossy().into_owned())
        };
        Environment {
            debug: read("LIBVIRT_DEBUG"),
            filters: read("LIBVIRT_LOG_FILTERS"),
            outputs: read("LIBVIRT_LOG_OUTPUTS"),
        }
    }
}
