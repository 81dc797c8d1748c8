-- Leave the queue; if we were granted the lock meanwhile, release it.
-- returns as release.lua
function steps.abandon(lock, queue, id, owner, terms)
  if call('ZREM', queue, member(id, owner, terms)) == 1 then
    tidy(queue)
    -- Those behind us may share the lock with its holders.
    local _, _, _, _, capacity = look(lock)
    if capacity then tell_first(lock, queue, 0) end
  end
  return release(lock, queue, id)
end
