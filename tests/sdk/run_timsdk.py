"""timsdk from PyPI, through a group's life: run_timsdk.py CERTIFICATE KEY NODE SDKAPPID SECRET ADMIN"""

import sys

import tls_front
from expect import checked, deleted, ends_in, is_gone, is_refused, ok, same

certificate, key, node, app, secret, admin = sys.argv[1:]
tls_front.serve(certificate, key, node)

from timsdk import TimClient  # noqa: E402: the environment is read when it is used

client = TimClient(int(app), secret, identifier=admin)
groups, accounts = client.group_open_http_svc, client.im_open_login_svc
LONG_AGO = 1561000000


def members(*listed):
    return [{"Member_Account": account, "Role": role} for account, role in listed]


for wire, tips in ((groups.TYPE_PUBLIC, 1), (groups.TYPE_CHAT_ROOM, 0), (groups.TYPE_PRIVATE, 0)):
    people = [f"{name}.{wire}" for name in ("ann", "bob", "cid", "dan")]
    ann, bob, cid, dan = people
    eve = f"eve.{wire}"
    is_refused(groups.create_group("club", owner_account=ann, group_type=wire), 10019)
    same(accounts.account_import(ann, nick="Ann", face_url="http://face"), ok())
    same(accounts.im_open_login_svc([bob, cid, dan, eve]), ok(FailAccounts=[]))
    same(accounts.account_check([ann, "nobody", eve]), checked((ann, True), ("nobody", False), (eve, True)))
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

    if wire == groups.TYPE_PRIVATE:
        is_refused(groups.modify_group_member_info(group, bob, role=groups.ROLE_ADMIN), 10007)
        is_refused(groups.forbid_send_msg(group, [bob], 60), 10007)
        same(groups.modify_group_member_info(group, bob, name_card="Bob"), ok())
    else:
        changed = groups.modify_group_member_info(
            group, bob, role=groups.ROLE_ADMIN, msg_flag=groups.MSG_FLAG_DISCARD, name_card="Bob",
            app_member_defined_data=[{"Key": "badge", "Value": "7"}], shut_up_time=3600,
        )
        same(changed, ok())
        same(groups.forbid_send_msg(group, [cid, dan], 60), ok())
        # Its default lets them speak again.
        same(groups.forbid_send_msg(group, [dan]), ok())
        silenced = groups.get_group_shut_uin(group)
        found = {item["Member_Account"]: item["ShuttedUntil"] for item in silenced["ShuttedUinList"]}
        assert list(found) == [bob, cid] and ends_in(found[bob], 3600) and ends_in(found[cid], 60), silenced
        page = groups.get_group_member_info(group, member_info_filter=["Role", "MsgFlag", "NameCard", "MuteUntil"])
        expected = {
            "Member_Account": bob, "Role": "Admin", "MsgFlag": "Discard", "NameCard": "Bob", "MuteUntil": found[bob],
        }
        assert page["MemberList"][1] == expected, page
        whole = groups.get_group_member_info(group)["MemberList"][1]
        assert whole["AppMemberDefinedData"] == [{"Key": "badge", "Value": "7"}], whole
        same(groups.modify_group_member_info(group, bob, role=groups.ROLE_MEMBER), ok())
        is_refused(groups.modify_group_member_info(group, ann, role=groups.ROLE_ADMIN), 10004)
    roles = [{"Member_Account": name, "Role": role} for name, role in ((bob, "Member"), (ann, "Owner"), ("x", "NotMember"))]
    same(groups.get_role_in_group(group, [bob, ann, "x"]), ok(UserIdList=roles))

    # What stands beside the list is not of its members: they join now, and have read everything.
    listed = [{"Member_Account": eve}, {"Member_Account": bob}]
    imported = groups.import_group_member(group, listed, join_time=LONG_AGO, unread_msg_num=1)
    same(imported, ok(MemberList=[{"Member_Account": eve, "Result": 1}, {"Member_Account": bob, "Result": 2}]))
    same(groups.change_group_owner(group, eve), ok())
    owner = groups.get_group_info([group], response_filter={"GroupBaseInfoFilter": ["Owner_Account", "MemberNum"]})
    shown = {"GroupId": group, "ErrorCode": 0, "ErrorInfo": "", "Owner_Account": eve, "MemberNum": 5}
    same(owner, ok(GroupInfo=[shown]))

    same(groups.delete_group_member(group, [cid, "nobody"], reason="moved away"), ok())
    same(groups.get_joined_group_list(cid, with_no_active_groups=1), ok(TotalCount=0, GroupIdList=[]))
    same(groups.destroy_group(group), ok())
    is_gone(groups.get_group_info([group]), group)
    is_refused(groups.destroy_group(group), 10010)

    # A group from elsewhere, under its old name or that of today.
    names = {groups.TYPE_PUBLIC: "Public", groups.TYPE_CHAT_ROOM: "Meeting", groups.TYPE_PRIVATE: "Work"}
    for name in (wire, names[wire]):
        old = f"old.{wire}"
        imported = groups.import_group(
            "choir", owner_account=ann, group_type=name, group_id=old, create_time=LONG_AGO, introduction="sings",
            notification="at eight", face_url="http://choir", max_member_count=70,
            apply_join_option=groups.JOIN_OPTION_NEED_PERMISSION, app_defined_data=[{"Key": "city", "Value": "Graz"}],
        )
        same(imported, ok(GroupId=old))
        listed = [{"Member_Account": bob, "JoinTime": LONG_AGO + 5}, {"Member_Account": cid, "JoinTime": 1}]
        results = [{"Member_Account": bob, "Result": 1}, {"Member_Account": cid, "Result": 0}]
        same(groups.import_group_member(old, listed), ok(MemberList=results))
        choir = groups.get_group_info([old])["GroupInfo"][0]
        shown = {
            "Type": wire, "Name": "choir", "Introduction": "sings", "Notification": "at eight", "MaxMemberNum": 70,
            "FaceUrl": "http://choir", "CreateTime": LONG_AGO, "NextMsgSeq": 1, "Owner_Account": ann, "MemberNum": 2,
            "AppDefinedData": [{"Key": "city", "Value": "Graz"}],
            "ApplyJoinOption": "DisableApply" if wire == groups.TYPE_PRIVATE else "NeedPermission",
        }
        assert {name: choir[name] for name in shown} == shown, choir
        joined = [(member["Member_Account"], member["JoinTime"]) for member in choir["MemberList"]]
        assert joined == [(ann, LONG_AGO), (bob, LONG_AGO + 5)], choir
        everything = groups.get_app_id_group_list()
        same(everything, ok(TotalCount=1, GroupIdList=[{"GroupId": old}], Next=0))
        same(groups.destroy_group(old), ok())
    same(groups.get_app_id_group_list(), ok(TotalCount=0, GroupIdList=[], Next=0))
    deleted(accounts.account_delete([eve, "nobody", eve]), (eve, 0), ("nobody", 70107), (eve, 70107))
    same(accounts.account_check([eve, ann]), checked((eve, False), (ann, True)))

same(accounts.account_import("ann"), ok())
live = groups.create_group("live", group_type=groups.TYPE_AV_CHAT_ROOM, owner_account="ann")["GroupId"]
is_refused(groups.add_group_member(live, [{"Member_Account": "bob"}]), 10007)
is_refused(groups.delete_group_member(live, ["bob"]), 10004)
is_refused(groups.create_group("retired", group_type=groups.TYPE_B_CHAT_ROOM), 10004)
same(groups.destroy_group(live), ok())
is_refused(TimClient(int(app), "wrong", identifier=admin).group_open_http_svc.destroy_group(live), 70009)
