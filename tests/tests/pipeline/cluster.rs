//! A cluster: API servers on one etcd with `deploy/` applied, and the operator who rolls its keys.

use kube::Client;
use kubeassume_tests::{ApiServer, ApiServerConfig, Etcd, SigningKey, Testbed, until};

use crate::LIMIT;
use crate::book::Book;
use crate::public::Public;
use crate::traffic::{AUDIENCE, POD};
use crate::view::View;

pub(crate) struct Cluster {
    pub(crate) servers: Vec<ApiServer>,
    /// What signs the pods' tokens at first.
    pub(crate) key: SigningKey,
    /// What signed the controllers' own tokens. Kubelets renew such a token long before its key goes;
    /// here the key stays instead, served by all API servers for ever.
    pub(crate) bootstrap: SigningKey,
    /// A token of the controllers' ServiceAccount, valid for a day.
    pub(crate) token: String,
    pub(crate) view: View,
    public: Public,
    book: Book,
}

impl Cluster {
    /// Starts API servers that keep their objects under this prefix, and applies `deploy/`.
    pub(crate) async fn start(
        bed: &Testbed,
        etcd: &Etcd,
        prefix: &str,
        servers: usize,
        public: &Public,
        book: &Book,
    ) -> Self {
        let issuer = public.issuer();
        let (key, bootstrap) = (SigningKey::rsa(), SigningKey::rsa());
        book.served(key.kid());
        book.served(bootstrap.kid());
        let config = |signing: &SigningKey| ApiServerConfig {
            etcd_prefix: prefix.to_owned(),
            served_keys: vec![key.clone(), bootstrap.clone()],
            audiences: vec![issuer.to_owned(), AUDIENCE.to_owned()],
            ..ApiServerConfig::new(etcd, issuer, signing)
        };
        let first = bed.api_server(config(&bootstrap)).await;
        first.service_account(POD.0, POD.1).await;
        first.install(bed).await;
        let token = first.controller_token().await;
        let mut all = vec![first];
        for _ in 1..servers {
            all.push(bed.api_server(config(&key)).await);
        }
        all[0].kill().await;
        all[0].start_with(&key, &[&key, &bootstrap]).await;
        Self {
            view: View::new(all.iter().map(ApiServer::client).collect()),
            servers: all,
            key,
            bootstrap,
            token,
            public: public.clone(),
            book: book.clone(),
        }
    }

    /// A client as `system:masters` of the first API server.
    pub(crate) fn admin(&self) -> Client {
        self.servers[0].client()
    }

    /// A pod's token from the first API server.
    pub(crate) async fn pod_token(&self) -> String {
        self.servers[0].token(POD.0, POD.1, AUDIENCE).await
    }

    /// Restarts the API servers one after the other, hard, with these keys and the bootstrap key.
    pub(crate) async fn serve(&mut self, signing: &SigningKey, served: &[&SigningKey]) {
        for key in served {
            self.book.served(key.kid());
        }
        let before = self.servers[0].config().served_keys.clone();
        let keys = [served, &[&self.bootstrap]].concat();
        let last = self.servers.len() - 1;
        for (nth, server) in self.servers.iter_mut().enumerate() {
            if nth == last {
                let gone = before.iter().filter(|key| !keys.contains(key));
                gone.for_each(|key| self.book.withdrawn(key.kid()));
            }
            server.kill().await;
            server.start_with(signing, &keys).await;
        }
    }

    /// Rolls to another key by Kubernetes' procedure: add it everywhere, wait until it is public, sign with
    /// it. The old key is still served afterwards.
    pub(crate) async fn roll(&mut self, old: &SigningKey, new: &SigningKey) {
        self.serve(old, &[old, new]).await;
        self.is_public(new).await;
        self.serve(new, &[old, new]).await;
    }

    /// Waits until a key is public; from then on its tokens must be accepted.
    pub(crate) async fn is_public(&self, key: &SigningKey) {
        until("a new key to be public", LIMIT, async || {
            let kids = self.public.kids().await?;
            if kids.iter().any(|kid| kid == key.kid()) {
                Ok(())
            } else {
                Err(format!("{kids:?}"))
            }
        })
        .await;
        self.book.public(key.kid());
    }
}
