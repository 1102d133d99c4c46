//! The rules that can be switched off; README.md says what each demands.

macro_rules! rules {
    ($($rule:ident)*) => {
        /// A rule of the protocol, named after the step it belongs to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Rule { $($rule),* }

        impl Rule {
            pub(crate) const ALL: &[Self] = &[$(Self::$rule),*];
        }
    };
}

rules! {
    W1a W1b W2a W2b W3a W3b W3c W3d W3e W4a W4b W4c W5a W5b W6a W6b W7a W7b W8a W8b U
    P0 P2a P2b P3a P3b P3c P3d P3e P4a P4b P4c P4d P4e P5a P5b P5c P6a P6b P6c P7a P7b P7c P7d P7e P7f P7g P7h P7i
    V1 V2 D1 D2 D3 D4 D5 D6
}
