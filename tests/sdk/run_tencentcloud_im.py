"""tencentcloud-sdk-python-im from PyPI, through a group's life: run_tencentcloud_im.py NODE SDKAPPID SECRET ADMIN"""

import sys

from expect import checked, deleted, ends_in, is_gone, is_refused, ok, same
from tencentcloud_im.tcim_client import GroupAppDefinedData, GroupAttr, GroupMemObj, GroupObj, TCIMClient

node, app, secret, admin = sys.argv[1:]
# The option for other regions of the product takes any address.
client = TCIMClient(int(app), secret, admin, tencent_url=f"http://{node}/v4")


def body(response):
    assert response is not None and response.status_code == 200, response
    return response.json()


FOR_EVER = 4294967295


def muted(group):
    answer = body(client.get_group_shutup_list(group))
    assert (answer["ErrorCode"], answer["GroupId"]) == (0, group), answer
    return {item["Member_Account"]: item["ShuttedUntil"] for item in answer["ShuttedUinList"]}


for wire in ("Public", "Private", "ChatRoom", "Community"):
    group = "@TGS#_sdk" if wire == "Community" else f"sdk.{wire}"
    people = [f"{name}.{wire}" for name in ("ann", "bob", "cid", "dan")]
    ann, bob, cid, dan = people
    eve = f"eve.{wire}"
    asked = GroupObj(
        ann, wire, "club", introdction="walks", notification="water", face_url="http://face", max_member_count=50,
        mem_list=[GroupMemObj(bob)], applicationData=[GroupAppDefinedData("city", "Graz")], group_id=group,
    )
    # Nobody owns a group before the account is there.
    is_refused(body(client.create_group(asked)), 10019)
    same(body(client.add_single_user(ann, "Ann", "http://face")), ok())
    same(body(client.batch_add_users([bob, cid, dan, eve])), ok(FailAccounts=[]))
    same(body(client.search_user([ann, "nobody", eve])), checked((ann, True), ("nobody", False), (eve, True)))

    community = {"Type": "Community", "HugeGroupFlag": 0} if wire == "Community" else {}
    same(body(client.create_group(asked)), ok(GroupId=group, **community))
    is_refused(body(client.create_group(asked)), 10025)

    info = body(client.get_group_detail([group]))["GroupInfo"][0]
    shown = {
        "GroupId": group, "ErrorCode": 0, "Type": wire, "Name": "club", "Introduction": "walks", "Notification": "water",
        "FaceUrl": "http://face", "Owner_Account": ann, "MemberNum": 2, "MaxMemberNum": 50,
        "AppDefinedData": [{"Key": "city", "Value": "Graz"}],
    }
    assert {name: info[name] for name in shown} == shown, info
    assert [member["Member_Account"] for member in info["MemberList"]] == [ann, bob], info

    added = body(client.add_group_member(group, [GroupMemObj(name) for name in (cid, bob, dan)], silence=0))
    results = [{"Member_Account": name, "Result": result} for name, result in ((cid, 1), (bob, 2), (dan, 1))]
    same(added, ok(MemberList=results))

    # Page by page, as each type is paged.
    seen, place = [], ""
    while True:
        asked_of = {"offset": len(seen)} if wire != "Community" else {"next": place}
        page = body(client.get_group_mem_info_detail(group, limit_count=3, memInfoFilter=["Role"], **asked_of))
        assert page["ErrorCode"] == 0 and page["MemberNum"] == 4, page
        seen += page["MemberList"]
        place = page.get("Next", "")
        if not place and len(seen) >= page["MemberNum"]:
            break
    roles = zip(people, ("Owner", "Member", "Member", "Member"))
    assert seen == [{"Member_Account": name, "Role": role} for name, role in roles], seen
    if wire != "Community":
        owner = body(client.get_group_mem_info_detail(group, memInfoFilter=["Role"], memRoleFilter=["Owner"]))
        same(owner, ok(MemberNum=4, MemberList=[{"Member_Account": ann, "Role": "Owner"}]))

    changed = client.update_group_baseinfo(
        group, group_name="new club", introduction="no walks", max_member_num=60,
        shutUpFlag="" if wire == "Private" else "On",
        appDefineData=[GroupAppDefinedData("city", ""), GroupAppDefinedData("day", "Sunday")],
    )
    same(body(changed), ok())
    read = client.get_group_detail(
        [group], baseInfoFilter=["Name", "Introduction", "Notification", "MaxMemberNum", "ShutUpAllMember"],
        memInfoFilter=["Account"], appDefineDataFilterGroup=["day"],
    )
    expected = {
        "GroupId": group, "ErrorCode": 0, "ErrorInfo": "", "Name": "new club", "Introduction": "no walks",
        "Notification": "water", "MaxMemberNum": 60, "ShutUpAllMember": "Off" if wire == "Private" else "On",
        "AppDefinedData": [{"Key": "day", "Value": "Sunday"}],
        "MemberList": [{"Member_Account": name} for name in people],
    }
    same(body(read), ok(GroupInfo=[expected]))

    joined = client.get_joined_groups(
        ann, limit_count=10, group_type=wire, baseInfoFilter=["Type", "Name", "CreateTime"],
        selfInfoFilter=["Role", "JoinTime"],
    )
    mine = {
        "GroupId": group, "Type": wire, "Name": "new club", "CreateTime": "then",
        "SelfInfo": {"Role": "Owner", "JoinTime": "then"},
    }
    same(body(joined), ok(TotalCount=1, GroupIdList=[mine]))

    # Roles, cards and mutes of members; who may speak is said by the older names.
    if wire == "Private":
        is_refused(body(client.update_group_mem_info(group, bob, role_type="Admin")), 10007)
        is_refused(body(client.forbid_send_msg(group, [bob], 60)), 10007)
        same(body(client.update_group_mem_info(group, bob, namecard="Bob")), ok())
    else:
        changed = client.update_group_mem_info(
            group, bob, role_type="Admin", namecard="Bob", appMemDefineData=[GroupAppDefinedData("badge", "7")],
            shutUpTime=3600,
        )
        same(body(changed), ok())
        same(body(client.forbid_send_msg(group, [cid], FOR_EVER)), ok())
        found = muted(group)
        assert list(found) == [bob, cid] and found[cid] == FOR_EVER and ends_in(found[bob], 3600), found
        for name in ("MuteUntil", "ShutUpUntil"):
            listed = body(client.get_group_mem_info_detail(group, memInfoFilter=[name]))["MemberList"]
            assert [member[name] for member in listed] == [0, found[bob], FOR_EVER, 0], listed
        same(body(client.forbid_send_msg(group, [bob, cid], 0)), ok())
        assert muted(group) == {}
        is_refused(body(client.forbid_send_msg(group, [ann], 60)), 10004)
    role = "Member" if wire == "Private" else "Admin"
    roles = [{"Member_Account": name, "Role": is_} for name, is_ in ((ann, "Owner"), (bob, role), ("nobody", "NotMember"))]
    same(body(client.get_mem_role_in_group(group, [ann, bob, "nobody"])), ok(UserIdList=roles))
    listed = body(client.get_group_mem_info_detail(group, memInfoFilter=["NameCard"], appDefineDataFilterMem=["badge"]))
    badge = {} if wire == "Private" else {"AppMemberDefinedData": [{"Key": "badge", "Value": "7"}]}
    assert listed["MemberList"][1] == {"Member_Account": bob, "NameCard": "Bob", **badge}, listed

    # What members share.
    same(body(client.update_group_attr(group, [GroupAttr("route", "north"), GroupAttr("leader", bob)])), ok())
    same(body(client.update_group_attr(group, [GroupAttr("route", "south")])), ok())
    shared = [{"key": "leader", "value": bob}, {"key": "route", "value": "south"}]
    same(body(client.get_group_attr(group)), ok(GroupAttrAry=shared))
    same(body(client.clean_group_attr(group)), ok())
    same(body(client.get_group_attr(group)), ok(GroupAttrAry=[]))

    # A member from elsewhere, and another owner.
    imported = body(client.import_group_members(group, [GroupMemObj(eve, unread_msg_num=1), GroupMemObj(bob)]))
    same(imported, ok(MemberList=[{"Member_Account": eve, "Result": 1}, {"Member_Account": bob, "Result": 2}]))
    is_refused(body(client.change_group_owner(group, "nobody")), 10019)
    is_refused(body(client.change_group_owner(group, ann)), 10004)
    same(body(client.change_group_owner(group, dan)), ok())
    roles = [{"Member_Account": name, "Role": is_} for name, is_ in ((ann, "Member"), (dan, "Owner"), (eve, "Member"))]
    same(body(client.get_mem_role_in_group(group, [ann, dan, eve])), ok(UserIdList=roles))
    same(body(client.change_group_owner(group, ann)), ok())

    same(body(client.delete_group_mem(group, [cid, "nobody"])), ok())
    same(body(client.get_joined_groups(cid)), ok(TotalCount=0, GroupIdList=[]))
    same(body(client.delete_group(group)), ok())
    is_gone(body(client.get_group_detail([group])), group)
    is_refused(body(client.delete_group(group)), 10010)

    deleted(body(client.del_user([eve, "nobody"])), (eve, 0), ("nobody", 70107))
    same(body(client.search_user([eve, ann])), checked((eve, False), (ann, True)))
    # Deleted accounts own nothing new.
    is_refused(body(client.create_group(GroupObj(eve, wire, "club"))), 10019)

# A live room has attributes and mutes, and no members.
same(body(client.batch_add_users(["ann"])), ok(FailAccounts=[]))
live = body(client.create_group(GroupObj("ann", "AVChatRoom", "live")))["GroupId"]
same(body(client.update_group_attr(live, [GroupAttr("seat", "ann")])), ok())
same(body(client.get_group_attr(live)), ok(GroupAttrAry=[{"key": "seat", "value": "ann"}]))
same(body(client.forbid_send_msg(live, ["anybody"], 60)), ok())
assert list(muted(live)) == ["anybody"]
is_refused(body(client.import_group_members(live, [GroupMemObj("ann")])), 10007)
is_refused(body(client.change_group_owner(live, "ann")), 10007)
is_refused(body(client.get_mem_role_in_group(live, ["ann"])), 10007)
is_refused(body(client.update_group_mem_info(live, "ann", namecard="Ann")), 10007)
is_refused(body(client.get_group_mem_info_detail(live)), 10007)
same(body(client.delete_group(live)), ok())
