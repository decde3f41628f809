-- The health of an ApprovalGrant: how it ended is never a fault of the application, or it would turn red when a grant
-- is used up.
local hs = {}

if obj.status == nil or obj.status.phase == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  hs.status = "Progressing"
  hs.message = "the operator has not looked at this generation yet"
  return hs
end

hs.message = obj.status.phase
local reason = ""
for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.type == "Ready" then
    reason = condition.reason
    hs.message = condition.message
  end
end

if obj.status.phase ~= "Pending" then
  hs.status = "Healthy"
elseif reason == "Unresolved" then
  -- It names something that is not there, or not yet.
  hs.status = "Progressing"
else
  -- People are to review it: Argo CD's word for what waits for somebody.
  hs.status = "Suspended"
end
return hs
