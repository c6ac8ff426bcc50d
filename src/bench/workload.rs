//! The seven workloads: what each sets up, what it asks, in which order.
//!
//! The definitions are shared with the harness that measures other servers, down to the names and the
//! random numbers; figures are comparable only as long as they stay so. Changing one means
//! changing both and measuring everything again.

use std::rc::Rc;

use clap::ValueEnum;

use super::random::{SplitMix64, Zipf};
use super::request::{Group, MEMBERS_CAP, Operation, PAGE_MEMBERS, User, Users};

/// Members added per call while a large group is filled.
pub const FILL_MEMBERS: u64 = 100;
/// Members of a group of the mixed load, its owner included.
const MIXED_MEMBERS: u64 = 20;
/// Accounts of the mixed load per group, so that an account is in about 10 groups.
const MIXED_USERS_PER_GROUP: u64 = 2;
/// Owners and first members of created groups are drawn from pools of this many names.
const POOL_USERS: u64 = 20_000;
/// Connections used for setting up where the order does not matter.
const SET_UP_CONNECTIONS: u64 = 64;
/// Connections used for filling the groups that are disbanded later.
const FILL_CONNECTIONS: u64 = 4;
/// Joins after which the hot group is full and the next one is joined: more than a run of usual length makes.
const HOT_JOINS_MAX: u64 = MEMBERS_CAP - 1;
/// Spreads consecutive joins over the groups. Odd and no divisor of usual counts.
const SPREAD_STRIDE: u64 = 7919;
/// Scatters the ranks of the distribution over the groups, so that hot ones are not neighbours.
const RANK_SCATTER: u64 = 2_654_435_761;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// Create groups of three
    W1,
    /// Join one group, one new user per call
    W2,
    /// Join one of many groups, one new user per call
    W3,
    /// 80 % profile reads, 10 % name cards, 5 % joins, 5 % removals
    W4,
    /// List the groups of a user, on the groups of w4
    W5,
    /// Read pages of 100 members of a large group
    W6,
    /// Disband large groups, one at a time
    W7,
}

/// How large the data is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// Groups of w3, w4 and w5.
    pub groups: u64,
    /// Members of the group of w6 and of each group of w7, owner included.
    pub members: u64,
    /// How much hotter the hot groups of w4 are.
    pub zipf_exponent: f64,
}

/// Operations of one sort, asked over some connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    pub load: Load,
    pub operations: u64,
    pub connections: u64,
}

/// A sort of operations, set-up and measured alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    CreateGroups,
    CreateHotGroup,
    JoinHotGroup,
    CreateSpreadGroups,
    JoinSpreadGroups,
    CreateMixedGroups,
    Mixed,
    JoinedLists,
    FillBigGroup,
    MemberPages,
    CreateDoomedGroups,
    FillDoomedGroups,
    DisbandGroups,
}

impl Workload {
    pub const ALL: [Self; 7] = [Self::W1, Self::W2, Self::W3, Self::W4, Self::W5, Self::W6, Self::W7];

    /// The name on the command line and in result files.
    pub fn name(self) -> &'static str {
        match self {
            Self::W1 => "w1",
            Self::W2 => "w2",
            Self::W3 => "w3",
            Self::W4 => "w4",
            Self::W5 => "w5",
            Self::W6 => "w6",
            Self::W7 => "w7",
        }
    }

    /// Says in a few words what an operation is.
    pub fn title(self) -> &'static str {
        match self {
            Self::W1 => "create groups of three",
            Self::W2 => "join one group",
            Self::W3 => "join many groups",
            Self::W4 => "mixed: mostly profile reads",
            Self::W5 => "list the groups of a user",
            Self::W6 => "page of 100 members of a large group",
            Self::W7 => "disband a large group",
        }
    }

    /// Operations of a full run.
    pub fn full_operations(self) -> u64 {
        match self {
            Self::W1 | Self::W3 => 20_000,
            Self::W2 | Self::W6 => 10_000,
            Self::W4 => 60_000,
            Self::W5 => 30_000,
            Self::W7 => 8,
        }
    }

    /// What is measured; w7 disbands one group at a time, whatever `connections` says.
    pub fn measured(self, operations: u64, connections: u64) -> Phase {
        let (load, connections) = match self {
            Self::W1 => (Load::CreateGroups, connections),
            Self::W2 => (Load::JoinHotGroup, connections),
            Self::W3 => (Load::JoinSpreadGroups, connections),
            Self::W4 => (Load::Mixed, connections),
            Self::W5 => (Load::JoinedLists, connections),
            Self::W6 => (Load::MemberPages, connections),
            Self::W7 => (Load::DisbandGroups, 1),
        };
        Phase { load, operations, connections }
    }

    /// What must exist before, in order; `operations` is the number that will be measured.
    pub fn set_up(self, sizes: &Sizes, operations: u64) -> Vec<Phase> {
        let one = |load, operations, connections| Phase { load, operations, connections };
        let fills = sizes.fills_per_group();
        match self {
            Self::W1 => vec![],
            Self::W2 => vec![one(Load::CreateHotGroup, operations.div_ceil(HOT_JOINS_MAX).max(1), 1)],
            Self::W3 => vec![one(Load::CreateSpreadGroups, sizes.groups, SET_UP_CONNECTIONS)],
            Self::W4 | Self::W5 => vec![one(Load::CreateMixedGroups, sizes.groups, SET_UP_CONNECTIONS)],
            Self::W6 => vec![one(Load::FillBigGroup, 1 + fills, 1)],
            Self::W7 => vec![
                one(Load::CreateDoomedGroups, operations, 1),
                one(Load::FillDoomedGroups, operations * fills, FILL_CONNECTIONS),
            ],
        }
    }
}

impl Sizes {
    /// Calls that fill a large group; its owner is in it already.
    fn fills_per_group(&self) -> u64 {
        (self.members - 1).div_ceil(FILL_MEMBERS)
    }

    /// The `index`-th block of accounts that fills a large group.
    fn fill(&self, index: u64) -> Users {
        let first = index * FILL_MEMBERS;
        let count = FILL_MEMBERS.min(self.members - 1 - first);
        Users::Row { letters: "p", first, count, modulus: u64::MAX }
    }

    fn mixed_users(&self) -> u64 {
        self.groups * MIXED_USERS_PER_GROUP
    }

    /// Member `index` of group `group` of the mixed load; 0 is its owner.
    fn mixed_member(&self, group: u64, index: u64) -> User {
        User::Numbered("m", (group * MIXED_MEMBERS + index) % self.mixed_users())
    }
}

fn group(letters: &'static str, number: u64) -> Group {
    Group { letters, number: Some(number) }
}

const HOT_GROUP: Group = Group { letters: "hot", number: None };
/// The group that everybody joins, and those that follow when it is full.
fn hot_group(number: u64) -> Group {
    if number == 0 { HOT_GROUP } else { group("hot", number) }
}

const BIG_GROUP: Group = Group { letters: "big", number: None };

/// Chooses the operations of one connection.
#[derive(Debug)]
pub struct Chooser {
    load: Load,
    sizes: Sizes,
    zipf: Rc<Zipf>,
    connection: u64,
    random: SplitMix64,
    /// Whom this connection added in the mixed load and has not removed.
    joined: Vec<(Group, User)>,
}

impl Chooser {
    pub fn new(load: Load, sizes: Sizes, zipf: Rc<Zipf>, seed: u64, connection: u64) -> Self {
        let random = SplitMix64::of_connection(seed, connection);
        Self { load, sizes, zipf, connection, random, joined: Vec::new() }
    }

    /// Chooses operation number `index` of the phase, and the random number of its query.
    ///
    /// The order in which numbers are drawn is part of the definition.
    pub fn choose(&mut self, index: u64) -> (Operation, u32) {
        let operation = self.operation(index);
        // The lower half, as other harnesses do.
        (operation, self.random.bits() as u32)
    }

    /// Takes back what the last choice assumed, as the server refused it and did nothing.
    pub fn nothing_happened(&mut self, operation: &Operation) {
        match (self.load, operation) {
            // Joined by this choice, so it stands last.
            (Load::Mixed, Operation::Join { .. }) => drop(self.joined.pop()),
            (Load::Mixed, Operation::Remove { group, user }) => self.joined.push((*group, *user)),
            _ => {}
        }
    }

    fn operation(&mut self, index: u64) -> Operation {
        let sizes = self.sizes;
        let owned_by_owner = |group| Operation::Create { group, owner: User::Owner, members: Users::None };
        match self.load {
            Load::CreateGroups => {
                let mut drawn = |letters| User::Numbered(letters, self.random.below(POOL_USERS));
                let owner = drawn("o");
                let first = drawn("a");
                let members = Users::Two(first, drawn("b"));
                Operation::Create { group: group("c", index), owner, members }
            }
            Load::CreateHotGroup => owned_by_owner(hot_group(index)),
            Load::JoinHotGroup => {
                let users = Users::One(User::Numbered("h", index));
                Operation::Join { group: hot_group(index / HOT_JOINS_MAX), users }
            }
            Load::CreateSpreadGroups => {
                let owner = User::Numbered("o", index);
                Operation::Create { group: group("s", index), owner, members: Users::None }
            }
            Load::JoinSpreadGroups => {
                let number = index.wrapping_mul(SPREAD_STRIDE) % sizes.groups;
                Operation::Join { group: group("s", number), users: Users::One(User::Numbered("j", index)) }
            }
            Load::CreateMixedGroups => Operation::Create {
                group: group("g", index),
                owner: sizes.mixed_member(index, 0),
                members: Users::Row {
                    letters: "m",
                    first: index * MIXED_MEMBERS + 1,
                    count: MIXED_MEMBERS - 1,
                    modulus: sizes.mixed_users(),
                },
            },
            Load::Mixed => self.mixed(index),
            Load::JoinedLists => {
                Operation::JoinedList { user: User::Numbered("m", self.random.below(sizes.mixed_users())) }
            }
            Load::FillBigGroup => match index.checked_sub(1) {
                None => owned_by_owner(BIG_GROUP),
                Some(block) => Operation::Join { group: BIG_GROUP, users: sizes.fill(block) },
            },
            Load::MemberPages => {
                let page = self.random.below(sizes.members / PAGE_MEMBERS);
                Operation::MemberPage { group: BIG_GROUP, offset: page * PAGE_MEMBERS }
            }
            Load::CreateDoomedGroups => owned_by_owner(group("d", index)),
            Load::FillDoomedGroups => {
                let fills = sizes.fills_per_group();
                Operation::Join { group: group("d", index / fills), users: sizes.fill(index % fills) }
            }
            Load::DisbandGroups => Operation::Disband { group: group("d", index) },
        }
    }

    fn mixed(&mut self, index: u64) -> Operation {
        let number = self.zipf.rank(&mut self.random).wrapping_mul(RANK_SCATTER) % self.sizes.groups;
        let group = group("g", number);
        match self.random.below(100) {
            0..80 => Operation::Profile { group },
            80..90 => {
                let member = 1 + self.random.below(MIXED_MEMBERS - 1);
                Operation::NameCard { group, user: self.sizes.mixed_member(number, member), number: index }
            }
            // Nobody to remove yet: somebody is added instead.
            share if share < 95 || self.joined.is_empty() => {
                let user = User::Joiner { connection: self.connection, number: index };
                self.joined.push((group, user));
                Operation::Join { group, users: Users::One(user) }
            }
            _ => {
                let place = self.random.below(self.joined.len() as u64) as usize;
                let (group, user) = self.joined.swap_remove(place);
                Operation::Remove { group, user }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::super::request::Renderer;
    use super::*;

    const SIZES: Sizes = Sizes { groups: 10_000, members: 5_000, zipf_exponent: 0.99 };
    const SEED: u64 = 0xC0FFEE;

    /// Requests of one connection that is handed these operation numbers.
    fn requests(load: Load, connection: u64, numbers: Range<u64>) -> Vec<(String, String)> {
        requests_of(SIZES, load, connection, numbers)
    }

    fn requests_of(sizes: Sizes, load: Load, connection: u64, numbers: Range<u64>) -> Vec<(String, String)> {
        let zipf = Rc::new(Zipf::new(sizes.groups, sizes.zipf_exponent));
        let mut chooser = Chooser::new(load, sizes, zipf, SEED, connection);
        let mut renderer = Renderer::new("r", "sdkappid=1400000000&identifier=administrator&usersig=xxx");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("requests are text");
        numbers
            .map(|number| {
                let (operation, random) = chooser.choose(number);
                let request = renderer.render(&operation, random);
                (text(&request.path), text(&request.body))
            })
            .collect()
    }

    /// A request as it is expected; the numbers come from another implementation of the definition.
    fn asked(command: &str, random: u32, body: &str) -> (String, String) {
        let who = "sdkappid=1400000000&identifier=administrator&usersig=xxx";
        let path = format!("/v4/group_open_http_svc/{command}?{who}&random={random}&contenttype=json");
        (path, body.to_owned())
    }

    fn bodies(requests: Vec<(String, String)>) -> Vec<String> {
        requests.into_iter().map(|(_, body)| body).collect()
    }

    #[test]
    fn w1_creates_groups_of_three() {
        let first = r#"{"Owner_Account":"o3194","Type":"Public","GroupId":"r_c0","Name":"group r_c0","Introduction":"intro","Notification":"notice","MaxMemberCount":20000,"ApplyJoinOption":"FreeAccess","MemberList":[{"Member_Account":"a12697"},{"Member_Account":"b3851"}]}"#;
        let second = r#"{"Owner_Account":"o8024","Type":"Public","GroupId":"r_c1","Name":"group r_c1","Introduction":"intro","Notification":"notice","MaxMemberCount":20000,"ApplyJoinOption":"FreeAccess","MemberList":[{"Member_Account":"a15507"},{"Member_Account":"b8437"}]}"#;
        let expected = [asked("create_group", 1_470_434_628, first), asked("create_group", 581_539_007, second)];
        assert_eq!(requests(Load::CreateGroups, 0, 0..2), expected);
        let last = r#"{"Owner_Account":"o7762","Type":"Public","GroupId":"r_c9","Name":"group r_c9","Introduction":"intro","Notification":"notice","MaxMemberCount":20000,"ApplyJoinOption":"FreeAccess","MemberList":[{"Member_Account":"a15994"},{"Member_Account":"b10128"}]}"#;
        assert_eq!(requests(Load::CreateGroups, 63, 9..10), [asked("create_group", 2_857_745_360, last)]);
    }

    #[test]
    fn w2_joins_one_group() {
        let create = r#"{"Owner_Account":"owner","Type":"Public","GroupId":"r_hot","Name":"group r_hot","Introduction":"intro","Notification":"notice","MaxMemberCount":20000,"ApplyJoinOption":"FreeAccess","MemberList":[]}"#;
        assert_eq!(requests(Load::CreateHotGroup, 0, 0..1), [asked("create_group", 2_421_739_770, create)]);
        let expected = [
            asked(
                "add_group_member",
                3_631_054_059,
                r#"{"GroupId":"r_hot","Silence":1,"MemberList":[{"Member_Account":"h7"}]}"#,
            ),
            asked(
                "add_group_member",
                1_461_021_436,
                r#"{"GroupId":"r_hot","Silence":1,"MemberList":[{"Member_Account":"h8"}]}"#,
            ),
        ];
        assert_eq!(requests(Load::JoinHotGroup, 1, 7..9), expected);
    }

    #[test]
    fn w3_spreads_joins_over_groups() {
        let create = r#"{"Owner_Account":"o9999","Type":"Public","GroupId":"r_s9999","Name":"group r_s9999","Introduction":"intro","Notification":"notice","MaxMemberCount":20000,"ApplyJoinOption":"FreeAccess","MemberList":[]}"#;
        assert_eq!(bodies(requests(Load::CreateSpreadGroups, 0, 9_999..10_000)), [create]);
        let expected = [
            r#"{"GroupId":"r_s0","Silence":1,"MemberList":[{"Member_Account":"j0"}]}"#,
            r#"{"GroupId":"r_s7919","Silence":1,"MemberList":[{"Member_Account":"j1"}]}"#,
            r#"{"GroupId":"r_s5838","Silence":1,"MemberList":[{"Member_Account":"j2"}]}"#,
        ];
        assert_eq!(bodies(requests(Load::JoinSpreadGroups, 0, 0..3)), expected);
        // The second round meets the same groups: 12,345 x 7,919 = 97,760,055.
        let later = r#"{"GroupId":"r_s55","Silence":1,"MemberList":[{"Member_Account":"j12345"}]}"#;
        assert_eq!(bodies(requests(Load::JoinSpreadGroups, 0, 12_345..12_346)), [later]);
    }

    #[test]
    fn w4_fills_groups_of_twenty_from_a_shared_pool() {
        let group = &bodies(requests(Load::CreateMixedGroups, 0, 1_234..1_235))[0];
        let start = r#"{"Owner_Account":"m4680","Type":"Public","GroupId":"r_g1234","Name":"group r_g1234","Introduction":"intro","Notification":"notice","MaxMemberCount":20000,"ApplyJoinOption":"FreeAccess","MemberList":[{"Member_Account":"m4681"},{"Member_Account":"m4682"},"#;
        assert!(group.starts_with(start), "{group}");
        assert!(group.ends_with(r#"{"Member_Account":"m4698"},{"Member_Account":"m4699"}]}"#), "{group}");
        assert_eq!(group.matches("Member_Account").count(), 19);
        // With 7 groups there are 14 users, and a list starts again at the first.
        let few = Sizes { groups: 7, ..SIZES };
        let group = &bodies(requests_of(few, Load::CreateMixedGroups, 0, 1..2))[0];
        assert!(group.starts_with(r#"{"Owner_Account":"m6","#), "{group}");
        assert!(group.contains(r#"{"Member_Account":"m13"},{"Member_Account":"m0"}"#), "{group}");
    }

    #[test]
    fn w4_mixes_reads_cards_joins_and_removals() {
        let first = requests(Load::Mixed, 0, 0..28);
        let joined = r#"{"GroupId":"r_g8117","Silence":1,"MemberList":[{"Member_Account":"x0_0"}]}"#;
        assert_eq!(first[0], asked("add_group_member", 2_708_108_235, joined));
        assert_eq!(first[1], asked("get_group_info", 979_518_099, r#"{"GroupIdList":["r_g9459"]}"#));
        assert_eq!(first[2], asked("get_group_info", 4_013_828_231, r#"{"GroupIdList":["r_g0"]}"#));
        let removed = r#"{"GroupId":"r_g8117","Silence":1,"MemberToDel_Account":["x0_0"]}"#;
        assert_eq!(first[10], asked("delete_group_member", 335_432_888, removed));
        let card = r#"{"GroupId":"r_g3532","Member_Account":"m10645","NameCard":"card 22"}"#;
        assert_eq!(first[22], asked("modify_group_member_info", 1_882_864_288, card));
        let card = r#"{"GroupId":"r_g3371","Member_Account":"m7435","NameCard":"card 27"}"#;
        assert_eq!(first[27], asked("modify_group_member_info", 3_574_935_581, card));

        let third = requests(Load::Mixed, 3, 0..27);
        let card = r#"{"GroupId":"r_g5761","Member_Account":"m15237","NameCard":"card 0"}"#;
        assert_eq!(third[0], asked("modify_group_member_info", 1_553_444_970, card));
        // Two have joined by then; the later one leaves first.
        let removed = r#"{"GroupId":"r_g2640","Silence":1,"MemberToDel_Account":["x3_15"]}"#;
        assert_eq!(third[22], asked("delete_group_member", 2_987_041_231, removed));
        let removed = r#"{"GroupId":"r_g5395","Silence":1,"MemberToDel_Account":["x3_6"]}"#;
        assert_eq!(third[26], asked("delete_group_member", 2_166_921_226, removed));
    }

    #[test]
    fn w2_goes_on_in_another_group_when_one_is_full() {
        let phases = |operations| Workload::W2.set_up(&SIZES, operations);
        assert_eq!(phases(19_999), [Phase { load: Load::CreateHotGroup, operations: 1, connections: 1 }]);
        assert_eq!(phases(20_000)[0].operations, 2);
        let groups = bodies(requests(Load::CreateHotGroup, 0, 0..2));
        assert!(groups[0].contains(r#""GroupId":"r_hot""#) && groups[1].contains(r#""GroupId":"r_hot1""#));
        let joins = bodies(requests(Load::JoinHotGroup, 0, 19_998..20_000));
        assert!(joins[0].contains(r#""GroupId":"r_hot""#) && joins[1].contains(r#""GroupId":"r_hot1""#), "{joins:?}");
    }

    #[test]
    fn w4_removes_only_whom_it_has_added() {
        let mut chooser = Chooser::new(Load::Mixed, SIZES, Rc::new(Zipf::new(10_000, 0.99)), SEED, 0);
        let mut joined = Vec::new();
        for number in 0..5_000 {
            let (operation, _) = chooser.choose(number);
            let is_refused = number % 3 == 0;
            match operation {
                Operation::Join { users: Users::One(user), .. } if !is_refused => joined.push(user),
                Operation::Remove { user, .. } => {
                    let place = joined.iter().position(|known| *known == user).expect("it was added");
                    if !is_refused {
                        joined.swap_remove(place);
                    }
                }
                _ => {}
            }
            if is_refused {
                chooser.nothing_happened(&operation);
            }
        }
        assert!(joined.len() > 10, "{}", joined.len());
    }

    #[test]
    fn w4_has_the_shares_it_is_defined_with() {
        const COUNT: u64 = 20_000;
        let requests = requests(Load::Mixed, 5, 0..COUNT);
        let share = |command: &str| {
            let count = requests.iter().filter(|(path, _)| path.contains(&format!("/{command}?"))).count();
            count as f64 / COUNT as f64
        };
        // Four standard deviations of the largest share are 0.012.
        for (command, expected) in [
            ("get_group_info", 0.80),
            ("modify_group_member_info", 0.10),
            ("add_group_member", 0.05),
            ("delete_group_member", 0.05),
        ] {
            assert!((share(command) - expected).abs() < 0.012, "{command}: {}", share(command));
        }
    }

    #[test]
    fn w5_asks_for_lists_of_the_mixed_users() {
        let expected = [
            asked("get_joined_group_list", 3_464_955_001, r#"{"Member_Account":"m3194"}"#),
            asked("get_joined_group_list", 1_470_434_628, r#"{"Member_Account":"m3851"}"#),
            asked("get_joined_group_list", 979_518_099, r#"{"Member_Account":"m8024"}"#),
        ];
        assert_eq!(requests(Load::JoinedLists, 0, 0..3), expected);
    }

    #[test]
    fn w6_reads_pages_of_a_group_filled_a_hundred_at_a_time() {
        let expected = [
            asked("get_group_member_info", 2_988_523_213, r#"{"GroupId":"r_big","Limit":100,"Offset":4200}"#),
            asked("get_group_member_info", 887_125_173, r#"{"GroupId":"r_big","Limit":100,"Offset":4400}"#),
            asked("get_group_member_info", 3_373_416_430, r#"{"GroupId":"r_big","Limit":100,"Offset":4300}"#),
        ];
        assert_eq!(requests(Load::MemberPages, 2, 0..3), expected);

        let [phase] = Workload::W6.set_up(&SIZES, 10_000)[..] else { panic!("one phase fills the group") };
        assert_eq!(phase, Phase { load: Load::FillBigGroup, operations: 51, connections: 1 });
        let fills = bodies(requests(phase.load, 0, 0..phase.operations));
        assert!(fills[0].starts_with(r#"{"Owner_Account":"owner","Type":"Public","GroupId":"r_big","#), "{}", fills[0]);
        let start = r#"{"GroupId":"r_big","Silence":1,"MemberList":[{"Member_Account":"p0"},{"Member_Account":"p1"},"#;
        assert!(fills[1].starts_with(start), "{}", fills[1]);
        assert!(fills[50].ends_with(r#"{"Member_Account":"p4998"}]}"#), "{}", fills[50]);
        let added: usize = fills.iter().map(|body| body.matches("Member_Account").count()).sum();
        assert_eq!(added, 4_999, "with the owner, 5,000 members");
    }

    #[test]
    fn w7_fills_every_group_it_disbands() {
        let phases = Workload::W7.set_up(&SIZES, 8);
        let created = Phase { load: Load::CreateDoomedGroups, operations: 8, connections: 1 };
        assert_eq!(phases, [created, Phase { load: Load::FillDoomedGroups, operations: 400, connections: 4 }]);
        let fills = bodies(requests(Load::FillDoomedGroups, 0, 0..400));
        for number in 0..8 {
            let of_group: Vec<&String> =
                fills.iter().filter(|body| body.contains(&format!(r#""GroupId":"r_d{number}","#))).collect();
            let added: usize = of_group.iter().map(|body| body.matches("Member_Account").count()).sum();
            assert_eq!((of_group.len(), added), (50, 4_999), "group {number}");
        }
        let expected = [asked("destroy_group", 2_421_739_770, r#"{"GroupId":"r_d0"}"#)];
        assert_eq!(requests(Load::DisbandGroups, 0, 0..1), expected);
        assert_eq!(Workload::W7.measured(8, 64).connections, 1);
    }

    #[test]
    fn full_runs_have_the_sizes_they_are_defined_with() {
        let full: Vec<u64> = Workload::ALL.iter().map(|workload| workload.full_operations()).collect();
        assert_eq!(full, [20_000, 10_000, 20_000, 60_000, 30_000, 10_000, 8]);
        let measured = Workload::W4.measured(60_000, 64);
        assert_eq!(measured, Phase { load: Load::Mixed, operations: 60_000, connections: 64 });
    }
}
