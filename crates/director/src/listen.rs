//! The console port: who may come in (spec/01 §2.3, §6.5).

use crate::cluster::{self, Seat};
use crate::peer::{chain, tls};
use conf::address::{Family, ListenAddress};
use conf::director::{Cluster, Instance};
use net::{Incoming, Listener, NetError, Session};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wire::cram::Secret;
use wire::dialogue::handshake::{refuse_hello, refuse_unknown};
use wire::hello::{DEFAULT_CONSOLE, Hello, HelloLine, Listener as At};

/// Callers that are being authenticated at one time, beyond the open sessions.
const KNOCKING_MAX: usize = 64;

/// Opens the ports of the configuration: those of the Director resource, that of this process' Instance resource, and that port at the
/// cluster's floating addresses. With an Instance, the addresses of the Director resource count only where they are given.
///
/// # Errors
/// [`NetError::Listen`] names the address.
pub(crate) async fn bind(
    director: &conf::director::Director,
    cluster: Option<&Cluster>,
    instance: Option<&Instance>,
) -> Result<Vec<Listener>, NetError> {
    let mut listeners: Vec<Listener> = Vec::new();
    let default_port = instance.map_or(director.dir_port, |instance| instance.dir_port);
    let own = instance.map(|instance| ListenAddress {
        host: Some(instance.address.clone()),
        family: Family::Any,
        port: Some(instance.dir_port),
    });
    let is_given = director.dir_address.is_some() || !director.dir_addresses.is_empty();
    let wanted = if own.is_none() || is_given { director.listen() } else { Vec::new() };
    let floating = cluster.into_iter().flat_map(|cluster| &cluster.floating_addresses);
    let floating =
        floating.map(|host| ListenAddress { host: Some(host.clone()), family: Family::Any, port: None });
    let all = wanted.into_iter().chain(own).map(|address| (address, false));
    for (address, is_floating) in all.chain(floating.map(|address| (address, true))) {
        let open = if is_floating { Listener::bind_floating } else { Listener::bind };
        for at in sockets(&address, default_port).await? {
            // What listens at all addresses of a port listens at each.
            let is_there = |at: SocketAddr, there: SocketAddr| {
                there.port() == at.port()
                    && there.is_ipv4() == at.is_ipv4()
                    && (there.ip() == at.ip() || there.ip().is_unspecified())
            };
            if listeners.iter().all(|listener| !is_there(at, listener.address())) {
                listeners.push(open(at)?.with_keepalive(director.heartbeat_interval));
            }
        }
    }
    Ok(listeners)
}

/// Where an address of the configuration is.
async fn sockets(address: &ListenAddress, default_port: u16) -> Result<Vec<SocketAddr>, NetError> {
    let port = address.port.unwrap_or(default_port);
    let host = match (&address.host, address.family) {
        (Some(host), _) => host.clone(),
        (None, Family::V6) => "::".to_owned(),
        (None, Family::Any | Family::V4) => "0.0.0.0".to_owned(),
    };
    let failed = |source| NetError::Listen { address: format!("{host}:{port}"), source };
    let found = tokio::net::lookup_host((host.as_str(), port)).await.map_err(failed)?;
    let is_wanted = |at: &SocketAddr| match address.family {
        Family::Any => true,
        Family::V4 => at.is_ipv4(),
        Family::V6 => at.is_ipv6(),
    };
    Ok(found.filter(is_wanted).collect())
}

/// Takes consoles in for ever.
pub(crate) async fn serve(seat: Seat, listeners: Vec<Listener>) {
    let mut accepting = JoinSet::new();
    let knocking = Arc::new(Semaphore::new(KNOCKING_MAX));
    let sessions =
        Arc::new(Semaphore::new(seat.config().director.maximum_console_connections.max(1) as usize + 1));
    for listener in listeners {
        tracing::info!(address = %listener.address(), "console port open");
        accepting.spawn(accept(seat.clone(), listener, Arc::clone(&knocking), Arc::clone(&sessions)));
    }
    while accepting.join_next().await.is_some() {}
}

async fn accept(seat: Seat, listener: Listener, knocking: Arc<Semaphore>, sessions: Arc<Semaphore>) {
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&knocking).acquire_owned().await else { return };
        match listener.accept().await {
            Ok(incoming) => {
                let (seat, sessions) = (seat.clone(), Arc::clone(&sessions));
                open.spawn(async move {
                    let address = incoming.address();
                    let conn = admit(&seat, incoming).await;
                    drop(permit);
                    match conn {
                        // Consoles beyond the limit wait without an answer, as with Bacula.
                        Ok(Some((conn, name))) => {
                            if let Ok(_slot) = sessions.acquire_owned().await {
                                cluster::serve(seat, conn, name).await;
                            }
                        }
                        Ok(None) => {}
                        Err(error) => {
                            tracing::warn!(%address, error = %chain(&error), "a caller was refused");
                        }
                    }
                });
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "accept a console");
                // Out of descriptors: only time helps, and the loop must not spin.
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// The handshake. The name is that of a restricted console; `None` is the default console.
async fn admit(seat: &Seat, mut incoming: Incoming) -> Result<Option<(net::Conn, Option<String>)>, NetError> {
    let first = incoming.first_packet().await?;
    let hello = match HelloLine::parse(&first, At::Director) {
        Ok(hello) => hello,
        Err(error) => {
            net::refuse(incoming, refuse_hello(&error)).await;
            return Ok(None);
        }
    };
    let config = seat.config();
    let (password, tls_of, name) = match &hello.hello {
        Hello::Console { name, .. } if name == DEFAULT_CONSOLE => {
            (&config.director.password, &config.director.tls, None)
        }
        Hello::Console { name, .. } => match config.console(name) {
            Some(console) => (&console.password, &console.tls, Some(name.clone())),
            None => {
                net::refuse(incoming, refuse_unknown(At::Director, &hello)).await;
                return Ok(None);
            }
        },
        _ => {
            net::refuse(incoming, refuse_unknown(At::Director, &hello)).await;
            return Ok(None);
        }
    };
    let (tls, _) = match tls(tls_of, "Console", &incoming.address().to_string()) {
        Ok(made) => made,
        Err(error) => {
            tracing::error!(%error, "the certificates of the console port");
            return Ok(None);
        }
    };
    let session = Session::new(&config.director.name, Secret::from_configured(password), tls);
    net::accept(incoming, hello, &session).await.map(|conn| Some((conn, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The addresses at which instance a listens, its port left out.
    async fn listens(director: &str, cluster: &str) -> Vec<String> {
        // Nobody has it: it was just given to this process.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            "Director {{ Name = d; Password = x; Messages = M; Query File = q; Working Directory = /tmp; Pid Directory = /tmp; {director} }}\n\
             Cluster {{ Name = c; {cluster} }}\n\
             Instance {{ Name = a; Address = 127.0.0.1; Dir Port = {port} }}\n\
             Catalog {{ Name = C; DB Name = x }}\n\
             Messages {{ Name = M; console = all }}\n\
             Client {{ Name = F; Address = 127.0.0.1; Password = x; Catalog = C }}\n\
             Storage {{ Name = S; Address = 127.0.0.1; Password = x; Device = D; Media Type = T }}\n\
             Pool {{ Name = P; Pool Type = Backup; Storage = S }}\n\
             FileSet {{ Name = T; Include {{ File = /x }} }}\n\
             Job {{ Name = J; Type = Backup; Level = Full; Messages = M; Client = F; FileSet = T; Pool = P }}\n"
        );
        let mut loader = conf::TextLoader::new("dir.conf", text);
        let config = conf::load::<conf::DirectorConfig>("dir.conf", &mut loader).map(|loaded| loaded.config);
        let config = config.unwrap_or_else(|findings| panic!("{findings}"));
        let bound = bind(&config.director, config.cluster.as_ref(), config.instance("a")).await.unwrap();
        bound.iter().map(|listener| listener.address().ip().to_string()).collect()
    }

    #[tokio::test]
    async fn an_instance_listens_at_the_floating_addresses_that_its_machine_may_get() {
        assert_eq!(listens("", "").await, ["127.0.0.1"]);
        assert_eq!(listens("Dir Address = 127.0.0.2", "").await, ["127.0.0.2", "127.0.0.1"]);
        // Of a network for documentation: no machine has them.
        let floating = "Floating Address = 192.0.2.1, 192.0.2.2";
        assert_eq!(listens("", floating).await, ["127.0.0.1", "192.0.2.1", "192.0.2.2"]);
    }
}
