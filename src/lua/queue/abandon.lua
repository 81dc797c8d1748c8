-- Leave the queue; if we were granted the lock meanwhile, release it.
-- returns as release.lua
function steps.abandon(lock, queue, id, owner, terms)
  if call('ZREM', queue, member(id, owner, terms)) == 1 then tidy(queue) end
  return release(lock, queue, id)
end
