//! Certificates, made anew for each run.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate, and behind it none.
    pub chain: String,
    /// The private key.
    pub key: String,
}

impl Pair {
    /// The certificates as rustls wants them.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateDer<'static>> {
        let all = CertificateDer::pem_slice_iter(self.chain.as_bytes());
        all.collect::<Result<_, _>>().expect("our own PEM")
    }

    /// The key as rustls wants it.
    #[must_use]
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("our own PEM")
    }
}

/// An authority that signs.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new one, of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("a certificate");
        Self(issuer)
    }

    /// Its certificate, as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Its certificate, as DER.
    #[must_use]
    pub fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    /// A certificate for a server of these names or addresses.
    #[must_use]
    pub fn server(&self, names: &[&str]) -> Pair {
        self.sign(&params(names, ExtendedKeyUsagePurpose::ServerAuth))
    }

    /// The same, expired long ago.
    #[must_use]
    pub fn expired(&self, names: &[&str]) -> Pair {
        let mut params = params(names, ExtendedKeyUsagePurpose::ServerAuth);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.sign(&params)
    }

    /// The same, of the far future.
    #[must_use]
    pub fn not_yet_valid(&self, names: &[&str]) -> Pair {
        let mut params = params(names, ExtendedKeyUsagePurpose::ServerAuth);
        params.not_before = date_time_ymd(3001, 1, 1);
        self.sign(&params)
    }

    /// A certificate for a client.
    #[must_use]
    pub fn client(&self, name: &str) -> Pair {
        self.sign(&params(&[name], ExtendedKeyUsagePurpose::ClientAuth))
    }

    fn sign(&self, params: &CertificateParams) -> Pair {
        let key = key();
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Pair { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A server's certificate that nobody else has signed; `is_ca`: it says that it is a CA's.
#[must_use]
pub fn self_signed(names: &[&str], is_ca: bool) -> Pair {
    let mut params = params(names, ExtendedKeyUsagePurpose::ServerAuth);
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let key = key();
    let certificate = params.self_signed(&key).expect("a certificate");
    Pair { chain: certificate.pem(), key: key.serialize_pem() }
}

fn params(names: &[&str], purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("valid names");
    params.extended_key_usages = vec![purpose];
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

/// What the servers of the tests encrypt with.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
