//! The calls about servers and their clients.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use virt_proto::admin::{
    Client, ClientInfo, ClientLimits, ClientList, CloseClient, GetClientInfo, GetClientLimits,
    GetThreadpool, LIST_MAX, ListClients, ListServers, LookupClient, LookupServer, Params,
    ServerList, ServerName, SetClientLimits, SetThreadpool, Threadpool, UpdateTlsFiles, param,
};
use virt_proto::{ErrorDomain, ErrorNumber, RemoteError, TypedParam, TypedValue};

use super::dispatch::{Answer, no_flags};
use super::{Administered, Server, info};
use crate::config::Workers;

/// The names of typed parameters are shorter (`VIR_TYPED_PARAM_FIELD_LENGTH`).
const NAME_MAX: usize = 80;

impl Administered {
    pub(super) fn list_servers(&self, call: &ListServers) -> Answer<ServerList> {
        no_flags(call.flags, "adminConnectListServers")?;
        let names = self.servers.iter().map(Server::reference);
        Ok(ServerList {
            servers: wanted(call.need_results, names),
            count: number(self.servers.len()),
        })
    }

    pub(super) fn lookup_server(&self, call: &LookupServer) -> Answer<ServerName> {
        Ok(self.named(&call.name)?.reference())
    }

    /// What libvirt shows of threads that have nothing to do. That nothing is free, or that calls
    /// wait, would worry whoever watches such numbers, without a reason.
    pub(super) fn threadpool(&self, call: &GetThreadpool) -> Answer<Threadpool> {
        no_flags(call.flags, "adminServerGetThreadPoolParameters")?;
        let Workers { min, max, prio } = self.server(&call.server)?.workers();
        let params = [
            (param::WORKERS_MIN, min),
            (param::WORKERS_MAX, max),
            (param::WORKERS_CURRENT, min),
            (param::WORKERS_FREE, min),
            (param::WORKERS_PRIORITY, prio),
            (param::JOB_QUEUE_DEPTH, 0),
        ];
        Ok(Threadpool {
            params: Params(params.map(uint).into()),
        })
    }

    /// Keeps the numbers, so that they are shown, under the conditions that libvirt has for them.
    pub(super) fn set_threadpool(&self, call: &SetThreadpool) -> Answer<()> {
        let server = self.server(&call.server)?;
        no_flags(call.flags, "adminServerSetThreadPoolParameters")?;
        let known = [
            param::WORKERS_MIN,
            param::WORKERS_MAX,
            param::WORKERS_PRIORITY,
        ];
        let params = uints(&call.params.0, &known)?;
        let mut workers = server
            .workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let or = |name, old| params.get(name).copied().unwrap_or(old);
        let new = Workers {
            min: or(param::WORKERS_MIN, workers.min),
            max: or(param::WORKERS_MAX, workers.max),
            prio: or(param::WORKERS_PRIORITY, workers.prio),
        };
        if new.min > new.max {
            return Err(invalid("minWorkers cannot be larger than maxWorkers"));
        }
        if (new.max == 0) != (workers.max == 0) {
            return Err(invalid(
                "maxWorkers cannot become zero, nor something else when it is zero",
            ));
        }
        *workers = new;
        Ok(())
    }

    pub(super) fn client_limits(&self, call: &GetClientLimits) -> Answer<ClientLimits> {
        no_flags(call.flags, "adminServerGetClientLimits")?;
        let clients = &self.server(&call.server)?.clients;
        let (max, anonymous_max) = clients.limits();
        let (count, anonymous) = clients.count();
        let params = [
            (param::CLIENTS_MAX, number(max)),
            (param::CLIENTS_CURRENT, number(count)),
            (param::CLIENTS_UNAUTH_MAX, number(anonymous_max)),
            (param::CLIENTS_UNAUTH_CURRENT, number(anonymous)),
        ];
        Ok(ClientLimits {
            params: Params(params.map(uint).into()),
        })
    }

    pub(super) fn set_client_limits(&self, call: &SetClientLimits) -> Answer<()> {
        let clients = &self.server(&call.server)?.clients;
        no_flags(call.flags, "adminServerSetClientLimits")?;
        let known = [param::CLIENTS_MAX, param::CLIENTS_UNAUTH_MAX];
        let params = uints(&call.params.0, &known)?;
        let (max, anonymous) = clients.limits();
        let or = |name, old| {
            let new = params.get(name).copied();
            new.map_or(old, |new| usize::try_from(new).unwrap_or(usize::MAX))
        };
        let max = or(param::CLIENTS_MAX, max);
        let anonymous = or(param::CLIENTS_UNAUTH_MAX, anonymous);
        if max < anonymous {
            return Err(invalid(&format!(
                "nclients_unauth_max ({anonymous}) cannot be larger than nclients_max ({max})"
            )));
        }
        clients.set_limits(max, anonymous);
        Ok(())
    }

    pub(super) fn update_tls(&self, call: &UpdateTlsFiles) -> Answer<()> {
        let server = self.server(&call.server)?;
        no_flags(call.flags, "adminServerUpdateTlsFiles")?;
        if !server.has_tls {
            return Err(internal("no tls service found, unable to update tls files"));
        }
        let updated = self.hooks.update_tls();
        updated.map_err(|reason| internal(&reason))
    }

    pub(super) fn list_clients(&self, call: &ListClients) -> Answer<ClientList> {
        let server = self.server(&call.server)?;
        no_flags(call.flags, "adminServerListClients")?;
        let list = server.clients.list();
        if list.len() > LIST_MAX {
            let detail = format!(
                "{} clients are too many for a list of at most {LIST_MAX}",
                list.len()
            );
            return Err(Box::new(RemoteError::rpc(&detail)));
        }
        let references = list
            .iter()
            .map(|(id, about)| info::reference(&server.name, *id, about));
        Ok(ClientList {
            clients: wanted(call.need_results, references),
            count: number(list.len()),
        })
    }

    pub(super) fn lookup_client(&self, call: &LookupClient) -> Answer<Client> {
        let server = self.server(&call.server)?;
        no_flags(call.flags, "adminServerLookupClient")?;
        let about = server.clients.find(call.id);
        let about = about.ok_or_else(|| no_client(call.id))?;
        Ok(info::reference(&server.name, call.id, &about))
    }

    pub(super) fn client_info(&self, call: &GetClientInfo) -> Answer<ClientInfo> {
        let GetClientInfo { client, flags } = call;
        let about = self.server(&client.server)?.clients.find(client.id);
        let about = about.ok_or_else(|| no_client(client.id))?;
        no_flags(*flags, "adminClientGetInfo")?;
        Ok(ClientInfo {
            params: Params(info::params(&about)),
        })
    }

    pub(super) fn close_client(&self, call: &CloseClient) -> Answer<()> {
        let CloseClient { client, flags } = call;
        let clients = &self.server(&client.server)?.clients;
        no_flags(*flags, "adminClientClose")?;
        if clients.dismiss(client.id) {
            Ok(())
        } else {
            Err(no_client(client.id))
        }
    }

    fn server(&self, server: &ServerName) -> Answer<&Server> {
        self.named(&server.name)
    }

    fn named(&self, name: &str) -> Answer<&Server> {
        let found = self.servers.iter().find(|server| server.name == name);
        found.ok_or_else(|| {
            let detail = format!("No server named '{name}'");
            let number = ErrorNumber::NO_SERVER;
            Box::new(RemoteError::new(number, ErrorDomain::RPC, &detail))
        })
    }
}

impl Server {
    fn reference(&self) -> ServerName {
        ServerName {
            name: self.name.clone(),
        }
    }
}

/// A list, if it is wanted. libvirt takes every number but zero for a yes.
fn wanted<T>(need_results: u32, list: impl Iterator<Item = T>) -> Vec<T> {
    if need_results == 0 {
        Vec::new()
    } else {
        list.collect()
    }
}

/// The parameters by their names, if all of them are known, uints, and there once.
fn uints<'a>(params: &'a [TypedParam], known: &[&str]) -> Answer<BTreeMap<&'a str, u32>> {
    let mut found = BTreeMap::new();
    for TypedParam { field, value } in params {
        if field.len() >= NAME_MAX {
            let detail = format!("the name of parameter {field} is too long");
            return Err(internal(&detail));
        }
        if !known.contains(&field.as_str()) {
            let detail = format!("parameter '{field}' not supported");
            let number = ErrorNumber::ARGUMENT_UNSUPPORTED;
            let error = RemoteError::new(number, ErrorDomain::NONE, &detail);
            return Err(Box::new(error));
        }
        let TypedValue::Uint(value) = value else {
            let kind = kind(value);
            return Err(invalid(&format!(
                "invalid type '{kind}' for parameter '{field}', expected 'uint'"
            )));
        };
        if found.insert(field.as_str(), *value).is_some() {
            let detail = format!("parameter '{field}' occurs multiple times");
            return Err(invalid(&detail));
        }
    }
    Ok(found)
}

fn kind(value: &TypedValue) -> &'static str {
    match value {
        TypedValue::Int(_) => "int",
        TypedValue::Uint(_) => "uint",
        TypedValue::Llong(_) => "llong",
        TypedValue::Ullong(_) => "ullong",
        TypedValue::Double(_) => "double",
        TypedValue::Boolean(_) => "boolean",
        TypedValue::String(_) => "string",
    }
}

fn uint((name, value): (&str, u32)) -> TypedParam {
    TypedParam::new(name, TypedValue::Uint(value))
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn no_client(id: u64) -> Box<RemoteError> {
    let detail = format!("No client with matching ID '{id}'");
    let error = RemoteError::new(ErrorNumber::NO_CLIENT, ErrorDomain::RPC, &detail);
    Box::new(error)
}

pub(super) fn invalid(detail: &str) -> Box<RemoteError> {
    let error = RemoteError::new(ErrorNumber::INVALID_ARG, ErrorDomain::NONE, detail);
    Box::new(error)
}

pub(super) fn internal(detail: &str) -> Box<RemoteError> {
    Box::new(RemoteError::internal(detail))
}
