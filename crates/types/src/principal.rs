//! Who asks, on behalf of which tenant, and what they may ask for.

use serde::{Deserialize, Serialize};

use crate::{Actor, TenantId};

/// A text that is no role or no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of {known}")]
pub struct UnknownWord {
    pub(crate) known: &'static str,
}

macro_rules! words {
    ($name:ident, $known:literal, $($variant:ident = $text:literal),+) => {
        impl $name {
            /// Every one, the least first.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownWord;

            fn from_str(text: &str) -> Result<Self, $crate::UnknownWord> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|word| word.as_str() == text)
                    .ok_or($crate::UnknownWord { known: $known })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;

/// What somebody is in a tenant. Ordered: each may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Works: sandboxes, commands, files, decisions.
    Member,
    /// Looks after the tenant: its users, keys and settings.
    Admin,
}

words!(Role, "viewer, member, admin", Viewer = "viewer", Member = "member", Admin = "admin");

impl Role {
    /// What the role allows.
    #[must_use]
    pub const fn scopes(self) -> Scopes {
        match self {
            Self::Viewer => Scopes(Scope::Read.bit()),
            Self::Member => Scopes(Scope::Read.bit() | Scope::Write.bit() | Scope::Review.bit()),
            Self::Admin => Scopes::ALL,
        }
    }
}

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// To look.
    Read,
    /// To make, run, change and remove.
    Write,
    /// To approve, reject and undo: what reaches the source.
    Review,
    /// To look after users and keys.
    Admin,
}

words!(
    Scope,
    "read, write, review, admin",
    Read = "read",
    Write = "write",
    Review = "review",
    Admin = "admin"
);

impl Scope {
    const fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Write => 2,
            Self::Review => 4,
            Self::Admin => 8,
        }
    }
}

/// A set of scopes; a list on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Scope>", into = "Vec<Scope>")]
pub struct Scopes(u8);

impl Scopes {
    /// Every scope.
    pub const ALL: Self = Self(15);

    /// Whether `scope` is among them.
    #[must_use]
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The ones that both have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether `other` has all of them.
    #[must_use]
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl From<Vec<Scope>> for Scopes {
    fn from(scopes: Vec<Scope>) -> Self {
        Self(scopes.iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Self {
        Scope::ALL.iter().copied().filter(|scope| scopes.has(*scope)).collect()
    }
}

/// How far somebody's word reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// One tenant.
    Tenant,
    /// The whole server: whoever has its socket or its token file.
    Instance,
}

/// Who asks. Every request has one; it is made once, where the request comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// On whose behalf.
    pub tenant: TenantId,
    /// Who.
    pub who: Actor,
    /// What they are in the tenant.
    pub role: Role,
    /// What they may ask for: never more than the role allows.
    pub scopes: Scopes,
    /// How far it reaches.
    pub authority: Authority,
}

impl Principal {
    /// Who runs the server, by its socket or its token file.
    #[must_use]
    pub const fn instance(who: Actor) -> Self {
        Self {
            tenant: TenantId::DEFAULT,
            who,
            role: Role::Admin,
            scopes: Scopes::ALL,
            authority: Authority::Instance,
        }
    }

    /// Whether the whole server listens to them.
    #[must_use]
    pub const fn is_instance(&self) -> bool {
        matches!(self.authority, Authority::Instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_the_one_before_it_may() {
        for pair in Role::ALL.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].scopes().is_within(pair[1].scopes()));
        }
        assert!(!Role::Viewer.scopes().has(Scope::Write));
        assert!(!Role::Member.scopes().has(Scope::Admin));
    }

    #[test]
    fn words_and_sets_read_back_as_themselves() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(*role));
            let json = serde_json::to_value(role.scopes()).unwrap();
            assert_eq!(serde_json::from_value::<Scopes>(json).unwrap(), role.scopes());
        }
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(*scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
        assert!("root".parse::<Role>().is_err());
    }
}
