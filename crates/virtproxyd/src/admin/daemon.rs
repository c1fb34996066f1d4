//! The calls about the daemon as a whole: its log, its timeout, its end.

use virt_proto::admin::{
    DaemonShutdown, GetLoggingFilters, GetLoggingOutputs, LIB_VERSION, LibVersion, LoggingFilters,
    LoggingOutputs, Open, SetDaemonTimeout, SetLoggingFilters, SetLoggingOutputs,
};

use super::Administered;
use super::dispatch::{Answer, no_flags};
use super::servers::{internal, invalid};

impl Administered {
    /// The version whose calls are known, since that is what it is asked for.
    pub(super) fn lib_version() -> LibVersion {
        LibVersion {
            version: LIB_VERSION,
        }
    }

    pub(super) fn open(call: &Open) -> Answer<()> {
        no_flags(call.flags, "adminDispatchConnectOpen")
    }

    pub(super) fn logging_outputs(&self, call: &GetLoggingOutputs) -> Answer<LoggingOutputs> {
        no_flags(call.flags, "adminConnectGetLoggingOutputs")?;
        let outputs = self.hooks.log_outputs();
        let count = count(&outputs);
        Ok(LoggingOutputs { outputs, count })
    }

    pub(super) fn logging_filters(&self, call: &GetLoggingFilters) -> Answer<LoggingFilters> {
        no_flags(call.flags, "adminConnectGetLoggingFilters")?;
        let filters = self.hooks.log_filters();
        let count = count(&filters);
        let filters = (count > 0).then_some(filters);
        Ok(LoggingFilters { filters, count })
    }

    pub(super) fn set_logging_outputs(&self, call: &SetLoggingOutputs) -> Answer<()> {
        no_flags(call.flags, "adminConnectSetLoggingOutputs")?;
        let outputs = call.outputs.as_deref().unwrap_or_default();
        let set = self.hooks.set_log_outputs(outputs);
        set.map_err(|reason| invalid(&reason))
    }

    pub(super) fn set_logging_filters(&self, call: &SetLoggingFilters) -> Answer<()> {
        no_flags(call.flags, "adminConnectSetLoggingFilters")?;
        let filters = call.filters.as_deref().unwrap_or_default();
        let set = self.hooks.set_log_filters(filters);
        set.map_err(|reason| invalid(&reason))
    }

    pub(super) fn set_timeout(&self, call: &SetDaemonTimeout) -> Answer<()> {
        no_flags(call.flags, "adminConnectSetDaemonTimeout")?;
        let set = self.hooks.set_timeout(call.timeout);
        set.map_err(|reason| internal(&reason))
    }

    /// Whether the daemon may be ended so. What runs is kept in any case: it runs elsewhere.
    pub(super) fn may_shut_down(call: &DaemonShutdown) -> Answer<()> {
        no_flags(
            call.flags & !DaemonShutdown::PRESERVE,
            "adminDispatchConnectDaemonShutdown",
        )
    }
}

fn count(list: &str) -> u32 {
    u32::try_from(list.split_whitespace().count()).unwrap_or(u32::MAX)
}
