"""timsdk from PyPI, through a group's life: run_timsdk.py CERTIFICATE KEY NODE SDKAPPID SECRET ADMIN"""

import sys

import tls_front
from expect import is_gone, is_refused, ok, same

certificate, key, node, app, secret, admin = sys.argv[1:]
tls_front.serve(certificate, key, node)

from timsdk import TimClient  # noqa: E402: the environment is read when it is used

groups = TimClient(int(app), secret, identifier=admin).group_open_http_svc


def members(*listed):
    return [{"Member_Account": account, "Role": role} for account, role in listed]


for wire, tips in ((groups.TYPE_PUBLIC, 1), (groups.TYPE_CHAT_ROOM, 0), (groups.TYPE_PRIVATE, 0)):
    people = [f"{name}.{wire}" for name in ("ann", "bob", "cid", "dan")]
    ann, bob, cid, dan = people
    created = groups.create_group(
        "club", owner_account=ann, member_list=[{"Member_Account": bob}], group_type=wire, introduction="walks",
        notification="water", face_url="http://face", max_member_count=50,
        apply_join_option=groups.JOIN_OPTION_DISABLE_APPLY,
    )
    group = created["GroupId"]
    assert group.startswith("@TGS#2"), created
    same(created, ok(GroupId=group))

    info = groups.get_group_info([group])["GroupInfo"][0]
    shown = {
        "GroupId": group, "ErrorCode": 0, "Type": wire, "Name": "club", "Introduction": "walks", "Notification": "water",
        "FaceUrl": "http://face", "Owner_Account": ann, "MemberNum": 2, "MaxMemberNum": 50, "NextMsgSeq": 1 + tips,
        "ApplyJoinOption": "DisableApply", "ShutUpAllMember": "Off", "LastMsgTime": 0, "InfoSeq": 1,
    }
    assert {name: info[name] for name in shown} == shown, info

    added = groups.add_group_member(group, [{"Member_Account": name} for name in (cid, bob, dan)])
    results = [{"Member_Account": name, "Result": result} for name, result in ((cid, 1), (bob, 2), (dan, 1))]
    same(added, ok(MemberList=results))

    page = groups.get_group_member_info(group, limit=2, offset=1, member_info_filter=["Role", "JoinTime", "ShutUpUntil"])
    listed = [
        {"Member_Account": name, "Role": "Member", "JoinTime": "then", "ShutUpUntil": 0} for name in (bob, cid)
    ]
    same(page, ok(MemberNum=4, MemberList=listed))

    changed = groups.modify_group_base_info(
        group, name="new club", introduction="no walks", max_member_num=60,
        app_defined_data=[{"Key": "city", "Value": "Graz"}],
    )
    same(changed, ok())
    if wire != groups.TYPE_PRIVATE:
        same(groups.modify_group_base_info(group, shut_up_all_member=groups.SHUT_UP_ALL_MEMBER_ON), ok())
    read = groups.get_group_info(
        [group],
        response_filter={
            "GroupBaseInfoFilter": ["Name", "Introduction", "MaxMemberNum", "ShutUpAllMember"],
            "MemberInfoFilter": ["Account", "Role"],
            "AppDefinedDataFilter_Group": ["city"],
        },
    )
    muted = "Off" if wire == groups.TYPE_PRIVATE else "On"
    roles = zip(people, ("Owner", "Member", "Member", "Member"))
    expected = {
        "GroupId": group, "ErrorCode": 0, "ErrorInfo": "", "Name": "new club", "Introduction": "no walks",
        "MaxMemberNum": 60, "ShutUpAllMember": muted, "AppDefinedData": [{"Key": "city", "Value": "Graz"}],
        "MemberList": members(*roles),
    }
    same(read, ok(GroupInfo=[expected]))

    joined = groups.get_joined_group_list(
        cid, limit=10, group_type=wire, with_no_active_groups=groups.WITH_NO_ACTIVE_GROUPS_YES,
        response_filter={"GroupBaseInfoFilter": ["Type", "Name"], "SelfInfoFilter": ["Role"]},
    )
    mine = {"GroupId": group, "Type": wire, "Name": "new club", "SelfInfo": {"Role": "Member"}}
    same(joined, ok(TotalCount=1, GroupIdList=[mine]))

    same(groups.delete_group_member(group, [cid, "nobody"], reason="moved away"), ok())
    same(groups.get_joined_group_list(cid, with_no_active_groups=1), ok(TotalCount=0, GroupIdList=[]))
    same(groups.destroy_group(group), ok())
    is_gone(groups.get_group_info([group]), group)
    is_refused(groups.destroy_group(group), 10010)

live = groups.create_group("live", group_type=groups.TYPE_AV_CHAT_ROOM, owner_account="ann")["GroupId"]
is_refused(groups.add_group_member(live, [{"Member_Account": "bob"}]), 10007)
is_refused(groups.delete_group_member(live, ["bob"]), 10004)
is_refused(groups.create_group("retired", group_type=groups.TYPE_B_CHAT_ROOM), 10004)
same(groups.destroy_group(live), ok())
is_refused(TimClient(int(app), "wrong", identifier=admin).group_open_http_svc.destroy_group(live), 70009)
