//! A proxy on loopback that can be cut: a server that goes away and comes back, for one process alone.

use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes connections on while it is not cut.
pub struct Proxy {
    /// Where it listens: `127.0.0.1:…`.
    pub address: String,
    cut: Arc<watch::Sender<bool>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Begins to pass on to the server of this URL.
    pub async fn before(url: &str) -> Self {
        let target = url.strip_prefix("http://").unwrap_or(url).split('/').next().expect("a host").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let cut = Arc::new(watch::Sender::new(false));
        let task = tokio::spawn(serve(listener, target, Arc::clone(&cut)));
        Self { address, cut, task }
    }

    /// The server's URL, by way of this proxy.
    pub fn url(&self, url: &str) -> String {
        let path = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).map(|(_, path)| path);
        format!("http://{}{}", self.address, path.map(|path| format!("/{path}")).unwrap_or_default())
    }

    /// Ends every connection, and lets no other through.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.cut.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn serve(listener: TcpListener, target: String, cut: Arc<watch::Sender<bool>>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let mut watched = cut.subscribe();
        if *watched.borrow() {
            continue;
        }
        let target = target.clone();
        tokio::spawn(async move {
            let passing = async {
                let Ok(mut far) = TcpStream::connect(&target).await else { return };
                // An end that breaks off is the business of who is connected.
                let _ = copy_bidirectional(&mut near, &mut far).await;
            };
            tokio::select! {
                () = passing => {}
                _ = watched.wait_for(|cut| *cut) => {}
            }
        });
    }
}
