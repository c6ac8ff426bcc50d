"""tencentcloud-sdk-python-im from PyPI, through a group's life: run_tencentcloud_im.py NODE SDKAPPID SECRET ADMIN"""

import sys

from expect import is_gone, is_refused, ok, same
from tencentcloud_im.tcim_client import GroupAppDefinedData, GroupMemObj, GroupObj, TCIMClient

node, app, secret, admin = sys.argv[1:]
# The option for other regions of the product takes any address.
client = TCIMClient(int(app), secret, admin, tencent_url=f"http://{node}/v4")


def body(response):
    assert response is not None and response.status_code == 200, response
    return response.json()


for wire in ("Public", "Private", "ChatRoom", "Community"):
    group = "@TGS#_sdk" if wire == "Community" else f"sdk.{wire}"
    people = [f"{name}.{wire}" for name in ("ann", "bob", "cid", "dan")]
    ann, bob, cid, dan = people
    asked = GroupObj(
        ann, wire, "club", introdction="walks", notification="water", face_url="http://face", max_member_count=50,
        mem_list=[GroupMemObj(bob)], applicationData=[GroupAppDefinedData("city", "Graz")], group_id=group,
    )
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

    same(body(client.delete_group_mem(group, [cid, "nobody"])), ok())
    same(body(client.get_joined_groups(cid)), ok(TotalCount=0, GroupIdList=[]))
    same(body(client.delete_group(group)), ok())
    is_gone(body(client.get_group_detail([group])), group)
    is_refused(body(client.delete_group(group)), 10010)
